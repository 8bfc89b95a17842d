#include "core/runtime/pulse.h"

#include <algorithm>

namespace tandem {
namespace {

constexpr std::chrono::seconds kBeat{2};
// A rank is named within 10 s of its last sign: this, a slice, and the time that it takes others to end.
constexpr std::chrono::seconds kSilence{8};
constexpr std::chrono::milliseconds kSlice{250};
// What a wait counts at most, so that a process that was stopped for an hour has not listened for an hour.
constexpr std::chrono::seconds kLongestWait{1};
constexpr int kPatience = 10;  // tries, 0.1 s each, to send a note to a process that does not read

// A connection that is closed with unread bytes is reset, and what was sent last may be lost.
void read_to_the_end(const Socket& socket) noexcept {
  char bytes[4096];
  while (::recv(socket.descriptor(), bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
  }
}

}  // namespace

Pulse::Pulse(uint32_t rank, std::vector<Socket> links) : rank_(rank), peers_(links.size()) {
  for (uint32_t r = 0; r < peers_.size(); ++r) {
    peers_[r].rank = r;
    peers_[r].alive = bool(links[r]);
    peers_[r].socket = std::move(links[r]);
  }
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    tandem::fail(Exit::device, fmt::format("rank {}", rank), "no socket to wake a thread by: {}", system_reason());
  wake_ = Socket(pair[0]);
  woken_ = Socket(pair[1]);
  thread_ = std::thread([this] { run(); });
}

Pulse::~Pulse() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    for (Peer& peer : peers_)
      if (peer.alive && !failure_) tell(peer, wire::NoteKind::left, {});
  }
  const char byte = 0;
  // Where it fails the thread ends at its next turn.
  [[maybe_unused]] const ssize_t sent = ::send(wake_.descriptor(), &byte, 1, MSG_NOSIGNAL);
  thread_.join();
  for (const Peer& peer : peers_)
    if (peer.alive) read_to_the_end(peer.socket);
}

void Pulse::fail(std::string_view text) noexcept {
  const std::lock_guard lock(mutex_);
  record(text, rank_);
}

std::optional<std::string> Pulse::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

bool Pulse::left(uint32_t rank) const {
  const std::lock_guard lock(mutex_);
  return peers_[rank].left;
}

void Pulse::run() noexcept {
  try {
    for (Clock::time_point before = Clock::now();;) {
      std::vector<const Socket*> sockets = {&woken_};
      {
        const std::lock_guard lock(mutex_);
        if (ending_) return;
        for (const Peer& peer : peers_)
          if (peer.alive) sockets.push_back(&peer.socket);
      }
      wait_for_any(sockets, kSlice);  // Only this thread changes which peers are alive.
      const Clock::time_point now = Clock::now();
      turn(std::min<Clock::duration>(now - before, kLongestWait));
      before = now;
    }
  } catch (const std::exception& e) {
    fail(fmt::format("rank {} no longer hears the others: {}", rank_, e.what()));
  }
}

void Pulse::turn(Clock::duration waited) {
  const std::lock_guard lock(mutex_);
  for (Peer& peer : peers_) {
    if (!peer.alive) continue;
    peer.silent += waited;
    listen(peer);
    if (peer.alive && peer.silent >= kSilence)
      lose(peer, fmt::format("nothing was heard of it for {} s", kSilence.count()));
  }
  if (Clock::now() < next_beat_) return;
  next_beat_ = Clock::now() + kBeat;
  for (Peer& peer : peers_)
    if (peer.alive) tell(peer, wire::NoteKind::beat, {});
}

void Pulse::listen(Peer& peer) {
  char bytes[4096];
  while (peer.alive) {
    const std::optional<size_t> got = receive_some(peer.socket, std::as_writable_bytes(std::span(bytes)));
    if (got == 0) return;
    if (!got) return peer.left ? void(peer.alive = false) : lose(peer, "its connection closed");
    peer.silent = {};
    peer.received.append(bytes, *got);
    read_notes(peer);
  }
}

void Pulse::read_notes(Peer& peer) {
  wire::Note note;
  while (peer.alive && peer.received.size() >= sizeof note) {
    std::memcpy(&note, peer.received.data(), sizeof note);
    if (note.kind > wire::NoteKind::left || note.text_bytes > wire::kTextLimit)
      return lose(peer, "it sent what no rank sends");
    if (peer.received.size() < sizeof note + note.text_bytes) return;
    const std::string text = peer.received.substr(sizeof note, note.text_bytes);
    peer.received.erase(0, sizeof note + text.size());
    if (note.kind == wire::NoteKind::failed) record(text, peer.rank);
    if (note.kind == wire::NoteKind::left) peer.left = true;
  }
}

void Pulse::lose(Peer& peer, std::string_view why) {
  peer.alive = false;
  record(fmt::format("rank {} is gone: {}", peer.rank, why), peer.rank);
}

// Tells all but the rank that it comes from. A peer that has nothing of its own to tell passes nothing on.
void Pulse::record(std::string_view text, uint32_t from) {
  if (failure_) return;
  failure_ = text;
  for (Peer& peer : peers_)
    if (peer.alive && peer.rank != from) tell(peer, wire::NoteKind::failed, text);
}

void Pulse::tell(Peer& peer, wire::NoteKind kind, std::string_view text) noexcept {
  try {
    text = text.substr(0, wire::kTextLimit);
    const wire::Note note{kind, uint32_t(text.size())};
    std::string bytes(reinterpret_cast<const char*>(&note), sizeof note);
    bytes += text;
    int tries = 0;
    send_all(peer.socket, wire::bytes_of(bytes), [&] {
      if (++tries > kPatience) tandem::fail(Exit::device, "pulse", "rank {} does not read", peer.rank);
    });
  } catch (const std::exception&) {  // The thread notices by itself that the peer is gone.
  }
}

}  // namespace tandem
