#include "core/runtime/rendezvous.h"

#include <unistd.h>

#include <map>
#include <random>
#include <sstream>

#include "core/base/file.h"

namespace tandem {

std::vector<Seat> seats_of(const std::vector<Origin>& origins) {
  std::map<std::string, uint32_t> hosts, ranks_of;
  for (const Origin& o : origins) hosts.emplace(o.host_id, uint32_t(hosts.size())), ++ranks_of[o.host_id];
  std::vector<Seat> seats;
  std::map<std::string, uint32_t> seen;
  for (const Origin& o : origins) {
    const uint32_t lesser = seen[o.host_id]++;
    seats.push_back({.rank = uint32_t(seats.size()),
                     .ranks = uint32_t(origins.size()),
                     .local_rank = o.local_rank.value_or(lesser),
                     .local_ranks = ranks_of[o.host_id],
                     .host = hosts[o.host_id],
                     .hosts = uint32_t(hosts.size())});
  }
  return seats;
}

std::string host_id() {
  constexpr const char* kBootId = "/proc/sys/kernel/random/boot_id";
  std::string id;
  if (file_exists(kBootId)) id = read_text(kBootId, Exit::device);
  while (id.ends_with('\n')) id.pop_back();
  if (!id.empty()) return id;
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) fail(Exit::device, "host", "has no name: {}", system_reason());
  return name;
}

uint64_t random_word() {
  std::random_device device;
  return uint64_t(device()) << 32 | device();
}

std::string seconds_text(std::chrono::milliseconds time) {
  return fmt::format("{} s", double(time.count()) / 1000);
}

void write_meeting(const std::string& file, const Meeting& meeting) {
  replace_file(file, fmt::format("{} {} {}\n", meeting.host, meeting.port, meeting.nonce));
}

std::optional<Meeting> read_meeting(const std::string& file) {
  if (!file_exists(file)) return {};
  std::string text;
  try {
    text = read_text(file);
  } catch (const Error&) {  // Rank 0 removes it at any time.
    return {};
  }
  Meeting meeting;
  std::istringstream words(text);
  if (!text.ends_with('\n') || !(words >> meeting.host >> meeting.port >> meeting.nonce)) return {};
  return meeting;
}

Links meet_all_ranks(const Launch& launch) {
  TANDEM_CHECK(launch.rank < launch.ranks, "rank {} of {}", launch.rank, launch.ranks);
  return launch.rank == 0 ? receive_peers(launch) : find_root(launch);
}

}  // namespace tandem
