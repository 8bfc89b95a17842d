// Ranks that are processes: a star of TCP connections with rank 0 in the middle. core/runtime/wire.h has what is sent.
#include <algorithm>
#include <exception>

#include "core/runtime/pulse.h"
#include "core/runtime/rendezvous.h"
#include "core/runtime/wire.h"

namespace tandem {
namespace {

constexpr size_t kRelayBytes = size_t(1) << 20;  // rank 0 keeps as much of what it passes on
// The pulse knows by then why a connection closed.
constexpr std::chrono::seconds kReasonTime{9};

class TcpWorld : public World {
 public:
  explicit TcpWorld(Links links)
      : World(links.seat), calls_(std::move(links.calls)), pulse_(seat().rank, std::move(links.pulse)) {}
  ~TcpWorld() override {
    if (std::uncaught_exceptions() > exceptions_) pulse_.fail(fmt::format("rank {} failed", seat().rank));
  }

  void fail(Exit, std::string_view text) noexcept override;
  void check() override;

 protected:
  void meet(const Message& message, Bytes from, MutableBytes to) override;

 private:
  [[noreturn]] void part(std::string_view text);  // fails this rank and all others
  [[noreturn]] void lost(uint32_t rank);
  void send(uint32_t rank, Bytes bytes);
  void receive(uint32_t rank, MutableBytes bytes);
  void relay(uint32_t from, uint32_t to, uint64_t bytes);

  void compare_all(const Message& message, const wire::Frame& frame);
  void compare(uint32_t peer, const Message& message, const wire::Frame& frame);
  void serve(const Message& message, Bytes from, MutableBytes to);
  void serve_gather(const Message& message, Bytes from, MutableBytes to);
  void serve_all_to_all(Bytes from, MutableBytes to);
  void call(const Message& message, Bytes from, MutableBytes to);
  void call_all_to_all(Bytes from, MutableBytes to);
  template <typename Body>
  void for_peers(Body body);

  std::vector<Socket> calls_;  // by rank
  std::vector<std::byte> passing_;
  uint64_t round_ = 0;
  int exceptions_ = std::uncaught_exceptions();
  Pulse pulse_;
};

void copy(Bytes from, MutableBytes to) {
  if (!from.empty() && from.data() != to.data()) std::memcpy(to.data(), from.data(), from.size());
}

// Rank r's part of equal ones.
template <typename Span>
Span part_of(Span all, size_t bytes, size_t r) {
  return all.subspan(r * bytes, bytes);
}

void TcpWorld::fail(Exit, std::string_view text) noexcept {
  try {
    pulse_.fail(fmt::format("rank {} failed: {}", seat().rank, text));
  } catch (const std::exception&) {
    pulse_.fail("a rank failed");
  }
}

void TcpWorld::check() {
  if (const std::optional<std::string> failure = pulse_.failure())
    tandem::fail(Exit::device, fmt::format("rank {}", seat().rank), "{}", *failure);
}

void TcpWorld::part(std::string_view text) {
  pulse_.fail(text);
  tandem::fail(Exit::device, fmt::format("rank {}", seat().rank), "{}", *pulse_.failure());
}

void TcpWorld::lost(uint32_t rank) {
  const Clock::time_point until = Clock::now() + kReasonTime;
  while (Clock::now() < until && !pulse_.left(rank)) {
    check();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  part(pulse_.left(rank) ? fmt::format("rank {} ended before the others", rank)
                         : fmt::format("rank {} is gone: its connection closed", rank));
}

void TcpWorld::send(uint32_t rank, Bytes bytes) {
  if (!send_all(calls_[rank], bytes, [this] { check(); })) lost(rank);
}

void TcpWorld::receive(uint32_t rank, MutableBytes bytes) {
  if (!receive_all(calls_[rank], bytes, [this] { check(); })) lost(rank);
}

void TcpWorld::relay(uint32_t from, uint32_t to, uint64_t bytes) {
  passing_.resize(std::min<uint64_t>(bytes, kRelayBytes));
  for (uint64_t done = 0; done < bytes; done += passing_.size()) {
    const MutableBytes piece = MutableBytes(passing_).first(std::min<uint64_t>(passing_.size(), bytes - done));
    receive(from, piece);
    send(to, piece);
  }
}

template <typename Body>
void TcpWorld::for_peers(Body body) {
  for (uint32_t r = 1; r < seat().ranks; ++r) body(r);
}

void TcpWorld::meet(const Message& message, Bytes from, MutableBytes to) {
  check();
  const std::string label(message.label.substr(0, wire::kLabelLimit));
  const wire::Frame frame{.round = round_++,
                          .bytes = message.bytes,
                          .kind = uint32_t(message.kind),
                          .root = message.root,
                          .label_bytes = uint32_t(label.size())};
  if (seat().rank == 0) {
    compare_all(message, frame);
    return serve(message, from, to);
  }
  std::vector<std::byte> said(sizeof frame + label.size());
  std::memcpy(said.data(), &frame, sizeof frame);
  std::memcpy(said.data() + sizeof frame, label.data(), label.size());
  send(0, said);
  wire::Frame back;
  receive(0, wire::writable_bytes_of(back));
  if (std::memcmp(&back, &frame, sizeof frame) != 0) part("rank 0 sent what no rank sends");
  call(message, from, to);
}

void TcpWorld::compare(uint32_t peer, const Message& message, const wire::Frame& frame) {
  wire::Frame theirs;
  receive(peer, wire::writable_bytes_of(theirs));
  if (theirs.label_bytes > wire::kLabelLimit || theirs.kind >= std::size(kMessageNames) || theirs.round != frame.round)
    part(fmt::format("rank {} sent what no rank sends", peer));
  std::string label(theirs.label_bytes, ' ');
  receive(peer, std::as_writable_bytes(std::span(label)));
  Message mine = message;
  mine.label = mine.label.substr(0, wire::kLabelLimit);
  const Message other{MessageKind(theirs.kind), label, theirs.bytes, theirs.root};
  if (other != mine) part(differ(0, mine, peer, other));
}

void TcpWorld::compare_all(const Message& message, const wire::Frame& frame) {
  for_peers([&](uint32_t r) { compare(r, message, frame); });
  for_peers([&](uint32_t r) { send(r, wire::bytes_of(frame)); });
}

// Rank 0's part in a call, once all ranks are known to make the same.
void TcpWorld::serve(const Message& message, Bytes from, MutableBytes to) {
  switch (message.kind) {
    case MessageKind::barrier:
    case MessageKind::exchange:
      break;
    case MessageKind::agree: {
      uint32_t bits = 0, word = 0;
      copy(from, wire::writable_bytes_of(bits));
      for_peers([&](uint32_t r) { receive(r, wire::writable_bytes_of(word)), bits |= word; });
      for_peers([&](uint32_t r) { send(r, wire::bytes_of(bits)); });
      copy(wire::bytes_of(bits), to);
      break;
    }
    case MessageKind::broadcast:
      if (message.root != 0) receive(message.root, to);
      for_peers([&](uint32_t r) {
        if (r != message.root) send(r, to);
      });
      break;
    case MessageKind::all_gather:
      copy(from, to.first(from.size()));
      for_peers([&](uint32_t r) { receive(r, part_of(to, from.size(), r)); });
      for_peers([&](uint32_t r) { send(r, to); });
      break;
    case MessageKind::gather:
      serve_gather(message, from, to);
      break;
    case MessageKind::all_to_all:
      serve_all_to_all(from, to);
      break;
  }
}

void TcpWorld::serve_gather(const Message& message, Bytes from, MutableBytes to) {
  if (message.root == 0) copy(from, to.first(from.size()));
  else send(message.root, from);
  for_peers([&](uint32_t r) {
    if (message.root == 0) receive(r, part_of(to, from.size(), r));
    else if (r != message.root) relay(r, message.root, from.size());
  });
}

void TcpWorld::serve_all_to_all(Bytes from, MutableBytes to) {
  const size_t bytes = from.size() / seat().ranks;
  copy(from.first(bytes), to.first(bytes));
  for_peers([&](uint32_t r) { receive(r, part_of(to, bytes, r)); });
  for_peers([&](uint32_t d) {
    send(d, part_of(from, bytes, d));
    for_peers([&](uint32_t r) {
      if (r != d) relay(r, d, bytes);
    });
  });
}

// A peer's part in it.
void TcpWorld::call(const Message& message, Bytes from, MutableBytes to) {
  const uint32_t rank = seat().rank;
  switch (message.kind) {
    case MessageKind::barrier:
    case MessageKind::exchange:
      break;
    case MessageKind::agree:
    case MessageKind::all_gather:
      send(0, from);
      receive(0, to);
      break;
    case MessageKind::broadcast:
      rank == message.root ? send(0, from) : receive(0, to);
      break;
    case MessageKind::gather:
      if (rank != message.root) return send(0, from);
      copy(from, part_of(to, from.size(), rank));
      for (uint32_t r = 0; r < seat().ranks; ++r)
        if (r != rank) receive(0, part_of(to, from.size(), r));
      break;
    case MessageKind::all_to_all:
      call_all_to_all(from, to);
      break;
  }
}

void TcpWorld::call_all_to_all(Bytes from, MutableBytes to) {
  const size_t bytes = from.size() / seat().ranks;
  copy(part_of(from, bytes, seat().rank), part_of(to, bytes, seat().rank));
  for (uint32_t d = 0; d < seat().ranks; ++d) {
    if (d != seat().rank) {
      send(0, part_of(from, bytes, d));
      continue;
    }
    for (uint32_t r = 0; r < seat().ranks; ++r)
      if (r != d) receive(0, part_of(to, bytes, r));
  }
}

}  // namespace

std::unique_ptr<World> tcp_world(const Launch& launch) {
  return std::make_unique<TcpWorld>(meet_all_ranks(launch));
}

}  // namespace tandem
