// What the kernels for adapters in bf16 of up to kThinRank columns (lora_expand: half as many) share: all parts of an
// op run in one launch, whose blocks each take a tile of one part. Wider adapters and f32 take the GEMM of any shape,
// part by part.
#pragma once

#include <type_traits>

#include "core/abi/lora_parts.h"
#include "kernels/device.cuh"

namespace tandem::kernels {

constexpr uint32_t kThinRank = 64;

// A tile of a part's columns; the last of a part may be narrower than the others.
struct PartTile {
  uint32_t part, column;  // its first column, counted in the part
  uint32_t columns;       // the part's
  uint32_t first;         // the part's first column of y
  uint32_t row;           // the part's first row of b
};

constexpr uint32_t kWholePart = 1u << 30;  // wider than any part; three times as much fits 32 bits

__device__ __forceinline__ PartTile part_tile(const abi::LoraParts& parts, uint32_t tile, uint32_t width) {
  PartTile at{0, tile * width, parts.columns[0], parts.first[0], 0};
#pragma unroll
  for (uint32_t i = 1; i < 4; ++i) {
    const uint32_t before = ceil_div(at.columns, width) * width;
    if (at.part + 1 != i || i >= parts.count || at.column < before) continue;
    at = {i, at.column - before, parts.columns[i], parts.first[i], at.row + at.columns};
  }
  return at;
}

inline uint32_t part_tiles(const abi::LoraParts& parts, uint32_t width) {
  uint32_t tiles = 0;
  for (uint32_t i = 0; i < parts.count; ++i) tiles += ceil_div(parts.columns[i], width);
  return tiles;
}

// Calls f with an integral constant: the least of 16, 32 and 64 that holds the rank, which is kThinRank at most.
template <typename F>
void with_thin_rank(uint32_t rank, const F& f) {
  if (rank <= 16) return f(std::integral_constant<uint32_t, 16>{});
  if (rank <= 32) return f(std::integral_constant<uint32_t, 32>{});
  f(std::integral_constant<uint32_t, 64>{});
}

// Elements from row to row of a tile of kRank columns: 8 more put the rows that ldmatrix reads on different banks.
template <uint32_t kRank>
constexpr uint32_t kThinStride = kRank + 8;

}  // namespace tandem::kernels
