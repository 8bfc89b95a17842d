// Rows of a matrix that ranks share.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/size.h"

namespace tandem {

// Rank r answers for rows r * of_rank ... (r + 1) * of_rank - 1, as far as they exist.
struct Rows {
  uint64_t whole = 0;     // Rows that exist; 0: nothing is shared.
  uint64_t of_rank = 0;   // Rows per rank.
  bool in_whole = false;  // The value has all rows, and memory for of_rank of each rank; else it has one rank's.

  bool shared() const { return whole > 0; }
  uint64_t first(uint32_t rank) const { return std::min(rank * of_rank, whole); }
  // Memory holds rows that do not exist, which are zeros.
  bool padded(uint32_t ranks) const { return ranks * of_rank > whole; }
  // Rows of the whole that come before those in a rank's memory.
  uint64_t before(uint32_t rank) const { return in_whole ? 0 : first(rank); }
  uint64_t count(uint32_t rank) const { return first(rank + 1) - first(rank); }
  bool operator==(const Rows&) const = default;
};

// Rows per rank: multiples of 16 keep each share aligned, and fit fp8 products. A rank may be left without any.
constexpr uint64_t shard_rows(uint64_t rows, uint32_t ranks) {
  return 16 * divide_up(rows, 16 * uint64_t(ranks));
}

}  // namespace tandem
