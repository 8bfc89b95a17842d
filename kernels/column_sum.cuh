// Sums over the rows of a matrix, in two kernels: column_partials adds up each part of the rows (core/abi/column_sum.h)
// into the workspace, add_columns adds the parts to a gradient.
// A block of the first has 256 columns of a part, a thread 8: warp w adds rows w, w + 8, ... in order, then the warps
// are added in order. A block of the second has 32 columns: warp w adds partial sums w, w + 32, ... in order, then the
// same.
#pragma once

#include "core/abi/column_sum.h"
#include "kernels/device.cuh"

namespace tandem::kernels {

constexpr uint32_t kColumnThreads = 256, kColumnWarps = kColumnThreads / 32;
constexpr size_t kColumnShared = kColumnWarps * abi::kColumnSumTile * sizeof(float);
static_assert(abi::kColumnSumTile == 32 * 8);

inline dim3 column_grid(uint32_t rows, uint32_t columns) {
  return dim3(ceil_div(columns, abi::kColumnSumTile), abi::column_sum_parts(rows, columns));
}

// partials (parts, columns) of a matrix whose pack i of row r is term(r, i); on column_grid, kColumnThreads,
// kColumnShared
template <typename Term>
__device__ __forceinline__ void column_partials(uint32_t rows, uint32_t columns, float* partials, const Term& term) {
  constexpr uint32_t kUnroll = 4, kTile = abi::kColumnSumTile;
  DYN_SHARED(float, scratch);  // (kColumnWarps, kTile)
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, pack = blockIdx.x * 32 + lane;
  const uint32_t part_rows = abi::column_sum_part_rows(rows, columns), begin = blockIdx.y * part_rows;
  const uint32_t end = pack < columns / 8 ? min(rows, begin + part_rows) : 0;
  Pack sum = {};
  uint32_t r = begin + warp;
  for (; r + (kUnroll - 1) * kColumnWarps < end; r += kUnroll * kColumnWarps) {
    Pack terms[kUnroll];
    for (uint32_t j = 0; j < kUnroll; ++j) terms[j] = term(r + j * kColumnWarps, pack);
    for (uint32_t j = 0; j < kUnroll; ++j) sum = add(sum, terms[j]);
  }
  for (; r < end; r += kColumnWarps) sum = add(sum, term(r, pack));
  store8(scratch + warp * kTile + lane * 8, sum);
  __syncthreads();
  const uint32_t column = blockIdx.x * kTile + threadIdx.x;
  if (column >= columns) return;
  float total = 0.0f;
  for (uint32_t w = 0; w < kColumnWarps; ++w) total += scratch[w * kTile + threadIdx.x];
  partials[size_t(blockIdx.y) * columns + column] = total;
}

// g[c] = round(g[c] + the sum over parts and heads of partials[part][head * columns + c]); a row of partials is `width`
template <typename G>
__global__ void __launch_bounds__(1024) add_columns_kernel(const float* __restrict__ partials, G* g, uint32_t parts,
                                                           uint32_t heads, uint32_t width, uint32_t columns) {
  DYN_SHARED(float, scratch);  // (32, 32)
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, c = blockIdx.x * 32 + lane;
  float sum = 0.0f;
  if (c < columns)
    for (uint32_t i = warp; i < parts * heads; i += 32)
      sum += partials[size_t(i / heads) * width + i % heads * columns + c];
  scratch[threadIdx.x] = sum;
  __syncthreads();
  if (warp != 0 || c >= columns) return;
  float total = 0.0f;
  for (uint32_t w = 0; w < 32; ++w) total += scratch[w * 32 + lane];
  g[c] = from_float<G>(to_float(g[c]) + total);
}

// rows: of the matrix whose partial sums these are; false for a g that is not f32 or bf16
inline bool add_columns(const float* partials, const Operand& g, uint32_t rows, uint32_t heads, uint32_t width,
                        uint32_t columns, Stream stream) {
  return with_float(g.dtype, [&](auto t) {
    using G = decltype(t);
    launch(add_columns_kernel<G>, dim3(ceil_div(columns, 32)), dim3(1024), 1024 * sizeof(float), stream, partials,
           static_cast<G*>(g.data), abi::column_sum_parts(rows, width), heads, width, columns);
  });
}

}  // namespace tandem::kernels
