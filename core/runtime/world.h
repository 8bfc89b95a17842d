// The ranks of a run and what crosses them on the host: a World is one rank's end of it. No GPU is known here.
//
// All calls but fail and check are collective: every rank makes the same calls in the same order, with the same label
// and lengths. Where they differ every rank throws, and the message names both sides. Errors of a World have
// Exit::device and begin with "[rank r]", the rank that throws.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace tandem {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

// A rank's place among all ranks, and among those of its host.
struct Seat {
  uint32_t rank = 0, ranks = 1, local_rank = 0, local_ranks = 1, host = 0, hosts = 1;
};

enum class MessageKind : uint8_t { barrier, agree, broadcast, all_gather, all_to_all, gather, exchange };
constexpr std::string_view kMessageNames[] = {"barrier",    "agree",  "broadcast", "all_gather",
                                              "all_to_all", "gather", "exchange"};

// What a rank says of a call before any byte moves; it has to be equal on all ranks.
struct Message {
  MessageKind kind = MessageKind::barrier;
  std::string_view label;
  uint64_t bytes = 0;  // what a rank brings
  uint32_t root = 0;   // for broadcast and gather

  bool operator==(const Message&) const = default;
};
std::string describe(const Message& message);

// How an error says that two ranks make different calls.
std::string differ(uint32_t rank_a, const Message& a, uint32_t rank_b, const Message& b);

// What a rank shows to the other threads of its process.
struct Offer {
  Message message;
  std::span<const Bytes> parts;
};

class World {
 public:
  virtual ~World() = default;
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  const Seat& seat() const { return seat_; }

  void barrier(std::string_view label = {});
  uint32_t agree(uint32_t bits, std::string_view label = {});  // or over ranks
  void broadcast(MutableBytes data, uint32_t root, std::string_view label = {});
  void all_gather(Bytes mine, MutableBytes all, std::string_view label = {});  // in rank order
  // from and to: one part per rank, all of one size; to gets part r of each rank, in rank order
  void all_to_all(Bytes from, MutableBytes to, std::string_view label = {});
  // all is read on the root alone and may be empty elsewhere
  void gather(Bytes mine, MutableBytes all, uint32_t root, std::string_view label = {});

  // Tells the peers that this rank has failed: it wakes those that wait. The first failure of a run counts.
  virtual void fail(Exit exit, std::string_view text) noexcept = 0;
  // Throws once a peer has failed or is gone.
  virtual void check() = 0;

  // Ranks that are threads of one process: shows `mine`, calls read with what each rank shows, and returns when all
  // have read. False, and nothing has happened: ranks are processes.
  using Read = std::function<void(std::span<const Offer>)>;
  virtual bool visit(const Offer&, const Read&) { return false; }

 protected:
  explicit World(const Seat& seat) : seat_(seat) {}
  // One collective call; from is what this rank brings, to what it gets. Lengths fit the message and the ranks.
  virtual void meet(const Message& message, Bytes from, MutableBytes to) = 0;

 private:
  void check_root(uint32_t root) const;

  Seat seat_;
};

// A value of each rank, in rank order; T is trivially copyable, and the same on all.
template <typename T>
std::vector<T> gather_values(World& world, const T& mine, std::string_view label) {
  std::vector<T> all(world.seat().ranks);
  world.all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(all)), label);
  return all;
}

// One World per thread of this process, of which each may be used by one thread; fail and check by any. A World that
// is destroyed while others still wait for it fails them.
std::vector<std::unique_ptr<World>> local_worlds(uint32_t ranks);

// How this process was started as a rank, and where the ranks of the run meet (docs/distributed.md).
struct Launch {
  uint32_t rank = 0, ranks = 1;
  std::optional<uint32_t> local_rank, local_ranks;  // where the launcher says them
  std::string host;  // where rank 0 listens; empty: rank 0 writes into `file` where it does
  uint16_t port = 0;
  std::string file;
  std::string nonce;       // equal for all ranks of this run and no other; a file has one of its own
  bool restarted = false;  // by torchrun, after a failure
  std::chrono::milliseconds patience = std::chrono::seconds(300);  // for all ranks to meet
};

// Meets the other processes and returns this one's World. Exit::device where they don't come in time, or the port is
// taken; Exit::configuration where a rank has another nonce or number of ranks, or its rank is there already.
std::unique_ptr<World> tcp_world(const Launch& launch);

}  // namespace tandem
