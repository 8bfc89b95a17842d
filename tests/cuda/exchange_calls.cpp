// A Collective's calls, carried out as NCCL defines them, leave the bytes that exchanges on the host leave.
#include "backends/cuda/exchange_calls.h"

#include <doctest/doctest.h>

#include <cstring>

#include "tests/support/rank_threads.h"

namespace tandem::cuda {
namespace {

constexpr uint64_t kArena = 4096;
using Arena = std::vector<std::byte>;

Arena filled(uint32_t rank) {
  Arena arena(kArena);
  for (size_t i = 0; i < kArena; ++i) arena[i] = std::byte((i * 37 + rank * 101 + i / 256 * rank) % 251);
  return arena;
}

// One rank's buffer in the only arena.
BufferRef bytes_at(uint64_t offset, uint64_t bytes) {
  return {.arena = 0, .offset = offset, .bytes = bytes};
}

// As for_rank leaves it: a gather in place has its part where the rank's is.
Collective gather(uint32_t rank, uint32_t ranks) {
  return {.kind = CollectiveKind::all_gather,
          .from = {{bytes_at(64 * rank, 64)}, {bytes_at(1024, 32)}, {bytes_at(1100, 0)}},
          .to = {bytes_at(0, 64 * ranks), bytes_at(2048, 32 * ranks), bytes_at(3000, 0)}};
}

Collective swap(uint32_t, uint32_t ranks) {
  return {.kind = CollectiveKind::all_to_all,
          .from = {{bytes_at(0, 48), 80}, {bytes_at(1024, 16), 0}},
          .to = {bytes_at(2048, 48 * ranks), bytes_at(3072, 16 * ranks)}};
}

Collective maximum(uint32_t, uint32_t) {
  return {.kind = CollectiveKind::all_reduce_max,
          .from = {{bytes_at(256, 64)}, {bytes_at(512, 8)}},
          .to = {bytes_at(256, 64), bytes_at(1024, 8)}};
}

using Calls = std::vector<ExchangeCall>;

std::vector<Arena> on_host(uint32_t ranks, Collective (*collective)(uint32_t, uint32_t)) {
  std::vector<Arena> arenas(ranks);
  const auto thrown = test::run_ranks(local_worlds(ranks), [&](World& world) {
    const uint32_t rank = world.seat().rank;
    arenas[rank] = filled(rank);
    run_collective(world, collective(rank, ranks), "test",
                   [&](const BufferRef& b) { return arenas[rank].data() + b.offset; });
  });
  for (const std::string& text : thrown) CHECK(text == "");
  return arenas;
}

// The i-th call of the kind to or from the peer.
const ExchangeCall& matching(const Calls& calls, CallKind kind, uint32_t peer, size_t i) {
  for (const ExchangeCall& call : calls)
    if (call.kind == kind && call.peer == peer && i-- == 0) return call;
  FAIL("a receive without its send");
  return calls.front();
}

void receive(const std::vector<Calls>& calls, uint32_t rank, std::vector<size_t>& received, const ExchangeCall& c) {
  const ExchangeCall& sent = matching(calls[c.peer], CallKind::send, rank, received[c.peer]++);
  REQUIRE(sent.bytes == c.bytes);
  std::memcpy(c.to, sent.from, c.bytes);
}

void raise(std::byte* to, const std::byte* from, uint64_t bytes) {
  for (uint64_t at = 0; at < bytes; at += sizeof(uint32_t)) {
    uint32_t a = 0, b = 0;
    std::memcpy(&a, to + at, sizeof a), std::memcpy(&b, from + at, sizeof b);
    if (b > a) std::memcpy(to + at, &b, sizeof b);
  }
}

// before: the ranks' arenas, of which arenas are copies that the calls point into
std::vector<Arena> by_calls(uint32_t ranks, Collective (*collective)(uint32_t, uint32_t)) {
  std::vector<Arena> before, after;
  for (uint32_t r = 0; r < ranks; ++r) before.push_back(filled(r)), after.push_back(filled(r));
  const auto planned = [&](uint32_t rank, std::vector<Arena>& arenas) {
    return calls_of(collective(rank, ranks), ranks,
                    [&, rank](const BufferRef& b) { return arenas[rank].data() + b.offset; });
  };
  std::vector<Calls> sources, calls;
  for (uint32_t r = 0; r < ranks; ++r) sources.push_back(planned(r, before)), calls.push_back(planned(r, after));
  for (uint32_t r = 0; r < ranks; ++r) {
    std::vector<size_t> received(ranks);
    for (size_t i = 0; i < calls[r].size(); ++i) {
      const ExchangeCall& c = calls[r][i];
      if (c.kind == CallKind::receive) receive(sources, r, received, c);
      for (uint32_t p = 0; p < ranks && c.kind == CallKind::all_gather; ++p)
        std::memcpy(c.to + p * c.bytes, sources[p][i].from, c.bytes);
      if (c.kind != CallKind::all_reduce_max) continue;
      std::memcpy(c.to, sources[r][i].from, c.bytes);
      for (uint32_t p = 0; p < ranks; ++p) raise(c.to, sources[p][i].from, c.bytes);
    }
  }
  return after;
}

TEST_CASE("exchange calls: each kind leaves the bytes that the host leaves") {
  for (const auto collective : {gather, swap, maximum})
    for (uint32_t ranks = 1; ranks <= 4; ++ranks) {
      INFO(name_of(collective(0, ranks).kind), " of ", ranks);
      CHECK(by_calls(ranks, collective) == on_host(ranks, collective));
    }
}

TEST_CASE("exchange calls: one for an item of nothing is not made, and a rank sends to itself") {
  Arena arena(kArena);
  const Address at = [&](const BufferRef& b) { return arena.data() + b.offset; };
  CHECK(calls_of(gather(1, 2), 2, at).size() == 2);
  const Calls calls = calls_of(swap(0, 2), 2, at);
  REQUIRE(calls.size() == 8);
  CHECK(calls[0].from == arena.data());
  CHECK(calls[1].to == arena.data() + 2048);
  CHECK(calls[2].from == arena.data() + 80);
  CHECK(calls[2].peer == 1);
  CHECK(calls[3].to == arena.data() + 2048 + 48);
}

}  // namespace
}  // namespace tandem::cuda
