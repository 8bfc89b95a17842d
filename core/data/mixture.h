// Several sources in fixed shares: of every 4096 sequences each source has the same number.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tandem {

constexpr uint32_t kMixtureBlock = 4096;  // sequences; part of the result, as a finer share needs a longer block

// How many sequences of a block each source has: its share, by largest remainder, ties to the earlier.
std::vector<uint32_t> mixture_counts(std::span<const double> weights);

struct Draw {
  size_t source = 0;
  uint64_t index = 0;  // how many sequences the source had before
};

// What sequence n of a run reads. The slots of block q = n / 4096 are permuted by permuted_window with the seed's
// exclusive or with 0x4D49585455524531 and the epoch q; sources take them in order.
Draw draw(uint64_t n, std::span<const uint32_t> counts, uint64_t seed);

}  // namespace tandem
