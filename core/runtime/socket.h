// TCP sockets that do not block: a wait is a series of short ones, between which the caller looks at what else happens.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/runtime/world.h"

namespace tandem {

using Clock = std::chrono::steady_clock;

class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  ~Socket();
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }

  int descriptor() const { return descriptor_; }
  explicit operator bool() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

struct Address {
  sockaddr_storage bytes{};
  socklen_t length = 0;
  std::string text;  // "127.0.0.1:2000", "[::1]:2000"
};

// All addresses of a name; none, and `why` says why, where it has none.
std::vector<Address> resolve(const std::string& host, uint16_t port, std::string& why);
// An address of this machine that other machines reach, else the loopback's; as a number.
std::string own_host();

// The error of the last call, as text.
std::string system_reason();

// Where a listening socket could not be made: the error number.
struct Listening {
  Socket socket;
  int error = 0;
};
Listening listen_at(const Address& address);
uint16_t port_of(const Socket& socket);
// The next connection that waits, and where it comes from; without a socket where none waits.
std::pair<Socket, std::string> accept_from(const Socket& listener);

// None where nobody answers before the time; `why` says why.
std::optional<Socket> connect_to(const Address& address, Clock::time_point until, std::string& why);

// Both move all bytes, and call idle about ten times per second while nothing moves; idle may throw. False once the
// other side has closed the connection.
using Idle = std::function<void()>;
bool send_all(const Socket& socket, Bytes bytes, const Idle& idle);
bool receive_all(const Socket& socket, MutableBytes bytes, const Idle& idle);

// What receives at once: the bytes that are there, at most as many as `into` has; nullopt once the other side has
// closed the connection.
std::optional<size_t> receive_some(const Socket& socket, MutableBytes into);

// Waits until one of the sockets has bytes, a connection, or was closed; true for those in order.
std::vector<bool> wait_for_any(const std::vector<const Socket*>& sockets, std::chrono::milliseconds at_most);

}  // namespace tandem
