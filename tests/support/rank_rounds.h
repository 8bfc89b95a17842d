// Rounds of every collective call of a World, each result compared with its definition.
#pragma once

#include <string>
#include <vector>

#include "core/base/hash.h"
#include "core/runtime/exchange.h"

namespace tandem::test {

template <typename T>
Bytes bytes_of(const std::vector<T>& v) {
  return std::as_bytes(std::span(v));
}
template <typename T>
MutableBytes writable(std::vector<T>& v) {
  return std::as_writable_bytes(std::span(v));
}

// A word of what rank `from` has for rank `to` in a round.
inline uint32_t round_word(uint32_t round, uint32_t from, uint32_t to) {
  return 10000 * round + 100 * from + to;
}

// Makes each call once with `count` words per part, and returns all that this rank got.
inline std::vector<uint32_t> one_round(World& world, uint32_t round, size_t count) {
  const uint32_t rank = world.seat().rank, ranks = world.seat().ranks, root = round % ranks;
  std::vector<uint32_t> got = {world.agree(1u << rank)};
  const auto keep = [&](const std::vector<uint32_t>& words) { got.insert(got.end(), words.begin(), words.end()); };
  std::vector<uint32_t> some(count, round_word(round, rank, 7)), all(ranks * count), at_root(all.size());
  world.broadcast(writable(some), root);
  keep(some);
  world.all_gather(bytes_of(std::vector<uint32_t>(count, round_word(round, rank, rank))), writable(all), "words");
  keep(all);
  std::vector<uint32_t> mine;
  for (uint32_t r = 0; r < ranks; ++r) mine.insert(mine.end(), count, round_word(round, rank, r));
  world.all_to_all(bytes_of(mine), writable(all));
  keep(all);
  world.gather(bytes_of(std::vector<uint32_t>(count, round_word(round, rank, 9))), writable(at_root), root, "to root");
  keep(at_root);
  const ExchangeItem item{.from = bytes_of(some), .to = writable(some)};
  exchange(world, CollectiveKind::all_reduce_max, "max", {&item, 1});
  world.barrier("end of the round");
  return got;
}

// What one_round returns, by definition.
inline std::vector<uint32_t> expected_round(const Seat& seat, uint32_t round, size_t count) {
  const uint32_t root = round % seat.ranks;
  std::vector<uint32_t> words = {(1u << seat.ranks) - 1};
  const auto add = [&](uint32_t word) { words.insert(words.end(), count, word); };
  add(round_word(round, root, 7));
  for (uint32_t r = 0; r < seat.ranks; ++r) add(round_word(round, r, r));
  for (uint32_t r = 0; r < seat.ranks; ++r) add(round_word(round, r, seat.rank));
  for (uint32_t r = 0; r < seat.ranks; ++r) add(seat.rank == root ? round_word(round, r, 9) : 0);
  return words;
}

// A hash of what this rank gets in eight rounds, each of which is checked; the last has more bytes than rank 0 of a
// star passes on at once.
inline std::string hash_of_rounds(World& world) {
  std::vector<uint32_t> all;
  for (uint32_t round = 0; round < 8; ++round) {
    const size_t count = round == 7 ? (size_t(1) << 18) + 3 : round;
    const std::vector<uint32_t> got = one_round(world, round, count);
    TANDEM_CHECK(got == expected_round(world.seat(), round, count), "round {}", round);
    all.insert(all.end(), got.begin(), got.end());
  }
  return xxh3(bytes_of(all));
}

}  // namespace tandem::test
