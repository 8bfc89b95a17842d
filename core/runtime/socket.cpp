#include "core/runtime/socket.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tandem {
namespace {

constexpr int kFlags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
constexpr std::chrono::milliseconds kSlice{100};  // how late what else happens is seen

bool would_block() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

// The other side is gone, however it went.
bool closed() {
  return errno == EPIPE || errno == ECONNRESET || errno == ETIMEDOUT || errno == ENOTCONN || errno == ECONNABORTED;
}

// True once the socket is ready; false after at_most.
bool ready(const Socket& socket, short events, std::chrono::milliseconds at_most) {
  pollfd entry{socket.descriptor(), events, 0};
  const int count = ::poll(&entry, 1, int(std::max<int64_t>(0, at_most.count())));
  if (count < 0 && errno != EINTR) fail(Exit::device, "socket", "cannot wait: {}", system_reason());
  return count > 0;
}

void set_option(const Socket& socket, int level, int option) {
  const int on = 1;
  if (::setsockopt(socket.descriptor(), level, option, &on, sizeof on) != 0)
    fail(Exit::device, "socket", "cannot set an option: {}", system_reason());
}

std::string text_of(const sockaddr_storage& bytes, socklen_t length) {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  const int flags = NI_NUMERICHOST | NI_NUMERICSERV;
  if (::getnameinfo(reinterpret_cast<const sockaddr*>(&bytes), length, host, sizeof host, port, sizeof port, flags) !=
      0)
    return "an unknown address";
  return bytes.ss_family == AF_INET6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

// The address as a number, where it is one that other machines may reach.
std::optional<std::string> reachable(const ifaddrs& entry) {
  const sockaddr* address = entry.ifa_addr;
  if (address == nullptr || address->sa_family != AF_INET) return {};
  if ((ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr) >> 24) == 127) return {};
  char host[NI_MAXHOST];
  if (::getnameinfo(address, sizeof(sockaddr_in), host, sizeof host, nullptr, 0, NI_NUMERICHOST) != 0) return {};
  return host;
}

}  // namespace

Socket::~Socket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::string system_reason() {
  return std::strerror(errno);
}

std::vector<Address> resolve(const std::string& host, uint16_t port, std::string& why) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &first);
  if (error != 0) {
    why = fmt::format("'{}' has no address: {}", host, ::gai_strerror(error));
    return {};
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(first, &::freeaddrinfo);
  std::vector<Address> found;
  for (const addrinfo* at = first; at != nullptr; at = at->ai_next) {
    Address& a = found.emplace_back();
    std::memcpy(&a.bytes, at->ai_addr, at->ai_addrlen);
    a.length = at->ai_addrlen;
    a.text = text_of(a.bytes, a.length);
  }
  return found;
}

std::string own_host() {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return "127.0.0.1";
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> list(first, &::freeifaddrs);
  for (const ifaddrs* at = first; at != nullptr; at = at->ifa_next)
    if (const std::optional<std::string> host = reachable(*at)) return *host;
  return "127.0.0.1";
}

Listening listen_at(const Address& address) {
  Socket socket(::socket(address.bytes.ss_family, kFlags, 0));
  if (!socket) return {{}, errno};
  set_option(socket, SOL_SOCKET, SO_REUSEADDR);  // what an ended run left is no obstacle; a listener is one
  if (address.bytes.ss_family == AF_INET6) set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY);
  const auto* bytes = reinterpret_cast<const sockaddr*>(&address.bytes);
  if (::bind(socket.descriptor(), bytes, address.length) != 0) return {{}, errno};
  if (::listen(socket.descriptor(), SOMAXCONN) != 0) return {{}, errno};
  return {std::move(socket), 0};
}

uint16_t port_of(const Socket& socket) {
  sockaddr_storage bytes{};
  socklen_t length = sizeof bytes;
  if (::getsockname(socket.descriptor(), reinterpret_cast<sockaddr*>(&bytes), &length) != 0)
    fail(Exit::device, "socket", "cannot tell its port: {}", system_reason());
  return ntohs(bytes.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(bytes).sin6_port
                                           : reinterpret_cast<const sockaddr_in&>(bytes).sin_port);
}

std::pair<Socket, std::string> accept_from(const Socket& listener) {
  sockaddr_storage bytes{};
  socklen_t length = sizeof bytes;
  Socket socket(
      ::accept4(listener.descriptor(), reinterpret_cast<sockaddr*>(&bytes), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket) {
    if (would_block() || closed() || errno == EPROTO) return {};
    fail(Exit::device, "socket", "cannot take a connection: {}", system_reason());
  }
  set_option(socket, IPPROTO_TCP, TCP_NODELAY);
  return {std::move(socket), text_of(bytes, length)};
}

std::optional<Socket> connect_to(const Address& address, Clock::time_point until, std::string& why) {
  Socket socket(::socket(address.bytes.ss_family, kFlags, 0));
  const auto failed = [&](int error) {
    why = fmt::format("{}: {}", address.text, std::strerror(error));
    return std::nullopt;
  };
  if (!socket) return failed(errno);
  if (::connect(socket.descriptor(), reinterpret_cast<const sockaddr*>(&address.bytes), address.length) != 0) {
    if (errno != EINPROGRESS && errno != EINTR) return failed(errno);
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    if (!ready(socket, POLLOUT, left)) return failed(ETIMEDOUT);
  }
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(socket.descriptor(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) return failed(errno);
  if (error != 0) return failed(error);
  set_option(socket, IPPROTO_TCP, TCP_NODELAY);
  return socket;
}

bool send_all(const Socket& socket, Bytes bytes, const Idle& idle) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket.descriptor(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) bytes = bytes.subspan(size_t(sent));
    else if (closed()) return false;
    else if (!would_block()) fail(Exit::device, "socket", "cannot send: {}", system_reason());
    else if (!ready(socket, POLLOUT, kSlice)) idle();
  }
  return true;
}

std::optional<size_t> receive_some(const Socket& socket, MutableBytes into) {
  const ssize_t got = ::recv(socket.descriptor(), into.data(), into.size(), 0);
  if (got > 0) return size_t(got);
  if (got == 0 || closed()) return {};
  if (!would_block()) fail(Exit::device, "socket", "cannot receive: {}", system_reason());
  return 0;
}

bool receive_all(const Socket& socket, MutableBytes bytes, const Idle& idle) {
  while (!bytes.empty()) {
    const std::optional<size_t> got = receive_some(socket, bytes);
    if (!got) return false;
    bytes = bytes.subspan(*got);
    if (*got == 0 && !ready(socket, POLLIN, kSlice)) idle();
  }
  return true;
}

std::vector<bool> wait_for_any(const std::vector<const Socket*>& sockets, std::chrono::milliseconds at_most) {
  std::vector<pollfd> entries;
  entries.reserve(sockets.size());
  for (const Socket* socket : sockets) entries.push_back({socket->descriptor(), POLLIN, 0});
  const int count = ::poll(entries.data(), nfds_t(entries.size()), int(at_most.count()));
  if (count < 0 && errno != EINTR) fail(Exit::device, "socket", "cannot wait: {}", system_reason());
  std::vector<bool> has;
  has.reserve(entries.size());
  for (const pollfd& entry : entries) has.push_back(count > 0 && entry.revents != 0);
  return has;
}

}  // namespace tandem
