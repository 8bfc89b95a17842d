// How the processes of a run find each other: rank 0 listens, the others connect to it twice (core/runtime/wire.h).
#pragma once

#include "core/runtime/socket.h"

namespace tandem {

// By the rank at the other end: rank 0 has one per peer, a peer has one to rank 0; the others are empty.
struct Links {
  Seat seat;
  std::vector<Socket> calls, pulse;
};

// Returns once all ranks have met. Throws as tcp_world.
Links meet_all_ranks(const Launch& launch);

// The two sides of it.
Links receive_peers(const Launch& launch);
Links find_root(const Launch& launch);

// A machine, and the local rank that the launcher gave.
struct Origin {
  std::string host_id;
  std::optional<uint32_t> local_rank;
};
// One per rank. Hosts are numbered in the order of their least ranks. A local rank that is not given is the number of
// lesser ranks on that host.
std::vector<Seat> seats_of(const std::vector<Origin>& origins);

// The boot id of this machine.
std::string host_id();

uint64_t random_word();

// "300 s", "0.5 s"
std::string seconds_text(std::chrono::milliseconds time);

// The file that takes the place of an address: where rank 0 listens, and the nonce of this meeting.
struct Meeting {
  std::string host;
  uint16_t port = 0;
  std::string nonce;
};
void write_meeting(const std::string& file, const Meeting& meeting);
std::optional<Meeting> read_meeting(const std::string& file);  // nullopt: it is not there, or not whole

}  // namespace tandem
