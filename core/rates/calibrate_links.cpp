#include "core/rates/calibrate_links.h"

#include <algorithm>

#include "core/base/median.h"
#include "core/base/stopwatch.h"
#include "core/runtime/profile.h"
#include "core/runtime/ranks.h"

namespace tandem {
namespace {

constexpr int kTimes = 4, kRuns = 5;                                        // exchanges in a submission, submissions
constexpr uint64_t kLeastBytes = 16 << 20, kMostBytes = uint64_t{1} << 30;  // an exchange takes
constexpr uint64_t kSmaller = 16;       // the small exchange is a 16th of the large one
constexpr double kLeastLatency = 1e-7;  // seconds; a table holds none of 0
constexpr double kLongExchange = 2e-3;  // seconds, beside which the latency is small

Program exchanges(CollectiveKind kind, uint32_t ranks, uint64_t bytes) {
  const uint64_t part = bytes / ranks;
  Program program;
  program.ranks = ranks;
  program.arenas = {{"from", ArenaKind::device, bytes}, {"to", ArenaKind::device, bytes}};
  const Part in_place{{.arena = 1, .bytes = part, .rank_stride = part}}, parts{{.bytes = part}, part};
  const Part& from = kind == CollectiveKind::all_gather ? in_place : parts;
  std::vector<Instruction>& code = program.ranges[size_t(Range::evaluate)];
  for (int i = 0; i < kTimes; ++i) {
    if (i > 0) code.push_back({Queue::exchange, Barrier{}, {}});
    code.push_back({Queue::exchange, Collective{kind, {from}, {{.arena = 1, .bytes = bytes}}}, {}});
  }
  return program;
}

// Bytes that cross one rank's link.
double crossing(uint64_t bytes, uint32_t ranks) {
  return double(bytes) * (ranks - 1) / ranks;
}

struct Line {
  double rate = 0, latency = 0;
};

// Through the times of a large exchange and of a small one.
Line line_of(Backend& backend, World& world, CollectiveKind kind) {
  const uint32_t ranks = world.seat().ranks;
  uint64_t bytes = kLeastBytes / ranks * ranks;
  double large = seconds_per_exchange(backend, world, kind, bytes);
  // The first rank's clock decides for all.
  const auto longer = [&] {
    return world.agree(world.seat().rank == 0 && large < kLongExchange && 2 * bytes <= kMostBytes, "links") != 0;
  };
  while (longer()) large = seconds_per_exchange(backend, world, kind, bytes *= 2);
  const uint64_t few = bytes / kSmaller / ranks * ranks;
  const double small = std::min(large, seconds_per_exchange(backend, world, kind, few));
  const double rate = (crossing(bytes, ranks) - crossing(few, ranks)) / std::max(large - small, large * 1e-3);
  return {rate, std::max(0.0, small - crossing(few, ranks) / rate)};
}

// Bytes/s of copies between the host and this device while the other ranks do the same.
double host_rate(Backend& backend, World& world, ArenaKind from, ArenaKind to) {
  constexpr uint64_t kBytes = 32 << 20;
  constexpr int kCopies = 4;
  world.barrier("links");
  const CopySpec copy{from, to, from == ArenaKind::host ? Queue::in : Queue::out};
  return double(kBytes) * kCopies / time_copies(backend, std::span(&copy, 1), kBytes, kCopies);
}

}  // namespace

Links links_of(Backend& backend, World& world) {
  const Line gather = line_of(backend, world, CollectiveKind::all_gather);
  const Line transpose = line_of(backend, world, CollectiveKind::all_to_all);
  const auto total = [&](ArenaKind from, ArenaKind to) {
    double sum = 0;
    for (const double rate : gather_values(world, host_rate(backend, world, from, to), "links")) sum += rate;
    return sum / world.seat().ranks * world.seat().local_ranks;
  };
  const Links own{
      .all_gather = gather.rate,
      .all_to_all = transpose.rate,
      .latency = std::max({kLeastLatency, gather.latency, transpose.latency}),
      .host_total = std::min(total(ArenaKind::host, ArenaKind::device), total(ArenaKind::device, ArenaKind::host))};
  return gather_values(world, own, "links")[0];
}

double seconds_per_exchange(Backend& backend, World& world, CollectiveKind kind, uint64_t bytes) {
  Session session(backend, for_rank(exchanges(kind, world.seat().ranks, bytes), world.seat().rank));
  session.run(Range::evaluate);
  std::vector<double> seconds;
  for (int i = 0; i < kRuns; ++i) {
    const auto start = std::chrono::steady_clock::now();
    session.run(Range::evaluate);
    seconds.push_back(seconds_since(start) / kTimes);
  }
  return median(seconds);
}

Links calibrate_links(const Registry& registry, std::span<const DeviceInfo> devices,
                      const std::function<void(const std::string&)>& progress) {
  progress(fmt::format("links between {} devices", devices.size()));
  Links links;
  run_threads(uint32_t(devices.size()), [&](World& world) {
    const uint32_t rank = world.seat().rank;
    const auto backend = registry.open(devices[rank]);
    backend->join(world, "auto");
    const Links measured = links_of(*backend, world);
    if (rank == 0) links = measured;
    return Exit::ok;
  });
  return links;
}

}  // namespace tandem
