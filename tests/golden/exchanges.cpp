// Exchanges between GPUs leave the bytes that they leave between the host's ranks.
#include <doctest/doctest.h>

#include <random>

#include "core/runtime/session.h"
#include "tests/support/rank_devices.h"
#include "tests/support/rank_threads.h"

namespace tandem::test {
namespace {

using Bytes = std::vector<std::byte>;

BufferRef part_of(uint32_t arena, uint64_t offset, uint64_t bytes, uint64_t rank_stride = 0) {
  return {.arena = arena, .offset = offset, .bytes = bytes, .rank_stride = rank_stride};
}

// Each kind of exchange on two arenas, of parts of `part` bytes: in place and not, dense and strided.
Program each_kind(uint32_t ranks, uint64_t part) {
  const uint64_t whole = ranks * part, bytes = 4 * whole;
  Program program;
  program.ranks = ranks;
  program.arenas = {{"a", ArenaKind::device, bytes}, {"b", ArenaKind::device, bytes}};
  std::vector<Instruction>& code = program.ranges[size_t(Range::evaluate)];
  const auto add = [&](Collective collective) {
    if (!code.empty()) code.push_back({Queue::exchange, Barrier{}, {}});
    code.push_back({Queue::exchange, std::move(collective), "a test"});
  };
  add({CollectiveKind::all_gather,
       {{part_of(0, 0, part, part)}, {part_of(0, 2 * whole, part)}},
       {part_of(0, 0, whole), part_of(1, 0, whole)}});
  add({CollectiveKind::all_to_all,
       {{part_of(0, 0, part), part}, {part_of(0, 2 * whole, part / 2), part}},
       {part_of(1, whole, whole), part_of(1, 2 * whole, whole / 2)}});
  add({CollectiveKind::all_gather, {{part_of(0, 3 * whole, part)}}, {part_of(1, 3 * whole, whole)}});
  add({CollectiveKind::all_reduce_max,
       {{part_of(0, whole, part)}, {part_of(0, 2 * whole, part)}},
       {part_of(0, whole, part), part_of(0, 2 * whole, part)}});
  return program;
}

Bytes random_bytes(uint32_t seed, uint64_t size) {
  std::mt19937 random(seed);
  Bytes bytes(size);
  for (std::byte& b : bytes) b = std::byte(random());
  return bytes;
}

// What every rank's arenas hold after some runs of the range.
std::vector<Bytes> run_on(const std::string& executor, uint32_t ranks, uint64_t part) {
  std::vector<Bytes> results(ranks);
  const auto thrown = run_ranks(local_worlds(ranks), [&](World& world) {
    const uint32_t rank = world.seat().rank;
    const std::unique_ptr<Backend> backend = open_for_rank(executor, rank);
    backend->join(world, "auto");
    const Program program = for_rank(each_kind(ranks, part), rank);
    Session session(*backend, program);
    const auto all_of = [&](uint32_t arena) { return part_of(arena, 0, program.arenas[arena].bytes); };
    for (uint32_t arena : {0u, 1u}) session.write(all_of(arena), random_bytes(10 * rank + arena, all_of(arena).bytes));
    for (int i = 0; i < 3; ++i) session.run(Range::evaluate);
    for (uint32_t arena : {0u, 1u}) {
      Bytes bytes(all_of(arena).bytes);
      session.read(all_of(arena), bytes);
      results[rank].insert(results[rank].end(), bytes.begin(), bytes.end());
    }
  });
  for (const std::string& text : thrown) REQUIRE(text == "");
  return results;
}

TEST_CASE("exchanges leave the same bytes on host and on cuda_host") {
  for (uint32_t ranks : {2u, 3u}) {
    const std::vector<Bytes> host = run_on("host", ranks, 1024);
    CHECK(host == run_on("cuda_host", ranks, 1024));
    CHECK(host[0] != host[1]);
  }
}

#ifdef TANDEM_CUDA
TEST_CASE("exchanges leave the host's bytes on cuda ranks") {
  for (uint32_t ranks : {2u, 4u}) {
    if (const std::string reason = too_few_devices("cuda", ranks); !reason.empty()) {
      MESSAGE(reason);
      continue;
    }
    for (uint64_t part : {256u, 65536u, 8u << 20}) {
      INFO(ranks, " ranks, parts of ", part, " bytes");
      CHECK((run_on("cuda", ranks, part) == run_on("host", ranks, part)));
    }
  }
}
#endif

}  // namespace
}  // namespace tandem::test
