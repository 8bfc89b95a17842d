// Rank 0's side of the rendezvous. It listens on the named address alone, takes the R - 1 peers whose hello fits, and
// drops everything else; a stranger takes neither a rank's place nor more memory than a Hello.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/file.h"
#include "core/base/message.h"
#include "core/runtime/rendezvous.h"
#include "core/runtime/wire.h"

namespace tandem {
namespace {

constexpr std::chrono::seconds kHelloTime{5};  // A slower stranger is dropped.
constexpr size_t kGuestLimit = 256;            // More connections than this wait, unread, in the listening socket.
constexpr std::chrono::milliseconds kSlice{100};

// A connection that has not said all of its Hello.
struct Guest {
  Socket socket;
  std::string from;
  wire::Hello hello;
  size_t received = 0;
  Clock::time_point until;
};

// What is there of a rank.
struct Place {
  wire::Hello hello;
  Socket calls, pulse;
};

struct Reception {
  uint32_t ranks = 0;
  std::string nonce;
  std::vector<Socket> listeners;
  std::vector<Guest> guests;
  std::vector<Place> places;          // by rank; that of rank 0 stays empty
  std::vector<std::string> refusals;  // ranks that came and did not fit
  bool warned = false;
};

std::string list_of(const std::vector<uint32_t>& ranks) {
  return fmt::format("rank{} {}", ranks.size() == 1 ? "" : "s", fmt::join(ranks, ", "));
}

std::vector<Socket> listen_on(const std::string& host, uint16_t port) {
  std::string why;
  std::vector<Socket> listeners;
  for (const Address& address : resolve(host, port, why)) {
    Listening made = listen_at(address);
    if (made.error == EADDRINUSE)
      fail(Exit::device, "rank 0", "port {} of {} is in use: end what listens there, or name another port", port, host);
    if (made.error != 0) why = fmt::format("cannot listen at {}: {}", address.text, std::strerror(made.error));
    else listeners.push_back(std::move(made.socket));
  }
  if (listeners.empty())
    fail(Exit::device, "rank 0", "{}; the ranks meet at an address of the machine that rank 0 runs on", why);
  return listeners;
}

void drop(Reception& r, const Guest& guest, std::string_view why) {
  if (!r.warned) warn(fmt::format("[rank 0] dropped a connection from {}: {}", guest.from, why));
  r.warned = true;
}

void answer(const Socket& socket, wire::Status status, const Seat& seat, const std::string& text) {
  wire::Answer a{.status = status, .seat = seat, .text_bytes = uint32_t(text.size())};
  std::memcpy(a.magic, wire::kMagic, sizeof a.magic);
  int slices = 0;
  const auto idle = [&] {
    if (++slices > 10) fail(Exit::device, "rank 0", "a rank does not read its answer");
  };
  try {
    if (send_all(socket, wire::bytes_of(a), idle)) send_all(socket, wire::bytes_of(text), idle);
  } catch (const Error&) {  // Who does not read is found missing later.
  }
}

void refuse(Reception& r, const Guest& guest, wire::Status status, const std::string& text) {
  drop(r, guest, text);
  answer(guest.socket, status, {}, text);
  if (guest.hello.channel == wire::Channel::calls && !std::ranges::count(r.refusals, text)) r.refusals.push_back(text);
}

// Gives a connection its place, refuses it, or drops it.
void take(Reception& r, Guest& guest) {
  const wire::Hello& hello = guest.hello;
  if (std::memcmp(hello.magic, wire::kMagic, sizeof hello.magic) != 0) return drop(r, guest, "not a rank");
  if (wire::get(hello.nonce) != r.nonce)
    return refuse(r, guest, wire::Status::other_run,
                  fmt::format("a rank {} came with another configuration, build or TANDEM_SECRET", hello.rank));
  if (hello.ranks != r.ranks)
    return refuse(r, guest, wire::Status::refused,
                  fmt::format("rank {} counts {} ranks, rank 0 counts {}", hello.rank, hello.ranks, r.ranks));
  if (hello.rank == 0 || hello.rank >= r.ranks || hello.channel > wire::Channel::pulse)
    return drop(r, guest, fmt::format("it says that it is rank {}", hello.rank));
  Place& place = r.places[hello.rank];
  const bool same = place.calls && place.hello.process == hello.process;
  Socket& mine = hello.channel == wire::Channel::calls ? place.calls : place.pulse;
  if (mine || (place.calls && !same))
    return refuse(r, guest, wire::Status::refused,
                  fmt::format("two processes say that they are rank {}: look into the launch variables", hello.rank));
  if (hello.channel == wire::Channel::pulse && !same) return;  // its first connection is gone
  place.hello = hello;
  mine = std::move(guest.socket);
}

// True once the connection is dealt with.
bool listen_to(Reception& r, Guest& guest) {
  const MutableBytes whole = wire::writable_bytes_of(guest.hello);
  const std::optional<size_t> got = receive_some(guest.socket, whole.subspan(guest.received));
  if (!got) return drop(r, guest, "it said nothing that a rank says"), true;
  guest.received += *got;
  if (guest.received < whole.size()) return false;
  take(r, guest);
  return true;
}

void accept_guests(Reception& r) {
  for (const Socket& listener : r.listeners)
    while (r.guests.size() < kGuestLimit) {
      auto [socket, from] = accept_from(listener);
      if (!socket) break;
      r.guests.push_back({std::move(socket), std::move(from), {}, 0, Clock::now() + kHelloTime});
    }
}

void listen_to_guests(Reception& r) {
  std::vector<Guest> staying;
  for (Guest& guest : r.guests) {
    if (listen_to(r, guest)) continue;
    if (Clock::now() > guest.until) drop(r, guest, "it said nothing");
    else staying.push_back(std::move(guest));
  }
  r.guests = std::move(staying);
}

// A peer says nothing before its answer: a readable connection was closed, and the place is free again.
void free_places(Reception& r) {
  for (Place& place : r.places)
    if (place.calls && wait_for_any({&place.calls}, {})[0]) place = {};
}

std::vector<uint32_t> missing(const Reception& r) {
  std::vector<uint32_t> ranks;
  for (uint32_t rank = 1; rank < r.ranks; ++rank)
    if (!r.places[rank].calls || !r.places[rank].pulse) ranks.push_back(rank);
  return ranks;
}

void wait_for_more(const Reception& r) {
  std::vector<const Socket*> sockets;
  if (r.guests.size() < kGuestLimit)
    for (const Socket& listener : r.listeners) sockets.push_back(&listener);
  for (const Guest& guest : r.guests) sockets.push_back(&guest.socket);
  wait_for_any(sockets, kSlice);
}

// Tells those who came, and ends.
[[noreturn]] void give_up(Reception& r, const Launch& launch) {
  std::string text = fmt::format("{} of {} did not come within {}: look whether all were started with the same address",
                                 list_of(missing(r)), r.ranks, seconds_text(launch.patience));
  for (const std::string& refusal : r.refusals) text += "; " + refusal;
  const Exit exit = r.refusals.empty() ? Exit::device : Exit::configuration;
  for (const Place& place : r.places)
    if (place.calls)
      answer(place.calls, exit == Exit::device ? wire::Status::given_up : wire::Status::refused, {}, text);
  fail(exit, "rank 0", "{}", text);
}

Links seat_all(Reception& r, const Launch& launch) {
  std::vector<Origin> origins = {{host_id(), launch.local_rank}};
  for (uint32_t rank = 1; rank < r.ranks; ++rank) {
    const wire::Hello& hello = r.places[rank].hello;
    origins.push_back({wire::get(hello.host_id), {}});
    if (hello.local_rank != wire::kUnknown) origins.back().local_rank = hello.local_rank;
  }
  const std::vector<Seat> seats = seats_of(origins);
  Links links{.seat = seats[0]};
  for (uint32_t rank = 0; rank < r.ranks; ++rank) {
    if (rank > 0) answer(r.places[rank].calls, wire::Status::joined, seats[rank], {});
    links.calls.push_back(std::move(r.places[rank].calls));
    links.pulse.push_back(std::move(r.places[rank].pulse));
  }
  return links;
}

// The rendezvous file while it lives.
class MeetingFile {
 public:
  MeetingFile(const std::string& file, const Meeting& meeting) : file_(file) { write_meeting(file, meeting); }
  ~MeetingFile() {
    try {
      remove_all(file_);
    } catch (const Error& e) {
      warn(e.what());
    }
  }
  MeetingFile(const MeetingFile&) = delete;
  MeetingFile& operator=(const MeetingFile&) = delete;

 private:
  std::string file_;
};

}  // namespace

Links receive_peers(const Launch& launch) {
  const Clock::time_point until = Clock::now() + launch.patience;
  const bool by_file = launch.host.empty(), one_host = launch.local_ranks == launch.ranks;
  const std::string host = !by_file ? launch.host : one_host ? "127.0.0.1" : own_host();
  Reception r{.ranks = launch.ranks, .nonce = launch.nonce, .listeners = listen_on(host, launch.port)};
  r.places.resize(launch.ranks);
  std::optional<MeetingFile> file;
  if (by_file) {
    r.nonce = fmt::format("{:016x}{:016x}", random_word(), random_word());
    file.emplace(launch.file, Meeting{host, port_of(r.listeners[0]), r.nonce});
  }
  while (!missing(r).empty()) {
    if (Clock::now() > until) give_up(r, launch);
    wait_for_more(r);
    accept_guests(r);
    listen_to_guests(r);
    free_places(r);
  }
  return seat_all(r, launch);
}

}  // namespace tandem
