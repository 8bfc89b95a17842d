// adalomo_squares: see core/abi/adalomo_squares.h. A block of 8 warps a tile of 128 rows and 256 columns. Reads the
// tensor's gradient, writes 4 bytes per 128 and 4 per 256 elements: bf16 at 90% of 4.3 TB/s takes 0.53 ns per 1000
// elements. A warp adds the row's 256 squares: a lane 4 and 4 of them, then warp_sum's order. A column: warp w adds
// rows w, w + 8, ... in order, then the warps are added in order.
#include "core/abi/adalomo_squares.h"

#include "kernels/quad.cuh"
#include "kernels/update_words.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 256, kWarps = kThreads / 32, kTile = abi::kAdalomoTileColumns, kHalf = kTile / 2;
static_assert(kTile == kThreads && kHalf == 4 * 32);

// Adds the squares of four elements to those of their columns.
__device__ __forceinline__ float add_squares(const Four& g, float coefficient, float* columns) {
  Four square;
  for (uint32_t k = 0; k < 4; ++k) {
    const float x = coefficient * g.v[k];
    square.v[k] = x * x;
    columns[k] += square.v[k];
  }
  return (square.v[0] + square.v[1]) + (square.v[2] + square.v[3]);
}

template <typename G>
__global__ void __launch_bounds__(kThreads)
    adalomo_squares_kernel(abi::AdalomoSquares p, const G* __restrict__ gradient,
                           const abi::UpdateScalars* __restrict__ update, float* __restrict__ column_sums,
                           float* __restrict__ row_sums) {
  DYN_SHARED(float, scratch);  // (kWarps, kTile)
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, first_column = blockIdx.x * kTile;
  const uint32_t begin = blockIdx.y * abi::kAdalomoTileRows, end = min(p.rows, begin + abi::kAdalomoTileRows);
  const float coefficient = words_of_segment(update, p.update_row).coefficient;
  const uint32_t low = first_column + 4 * lane, high = low + kHalf;
  float columns[8] = {};
#pragma unroll 4
  for (uint32_t r = begin + warp; r < end; r += kWarps) {
    const G* const row = gradient + (4 * size_t{p.first} + size_t{r} * p.columns);
    float sum = low < p.columns ? add_squares(load_four(row + low), coefficient, columns) : 0.0f;
    if (high < p.columns) sum += add_squares(load_four(row + high), coefficient, columns + 4);
    if (row_sums == nullptr) continue;
    sum = warp_sum(sum);
    if (lane == 0) row_sums[size_t{blockIdx.x} * p.rows + r] = sum;
  }
  for (uint32_t k = 0; k < 4; ++k) {
    scratch[warp * kTile + 4 * lane + k] = columns[k];
    scratch[warp * kTile + kHalf + 4 * lane + k] = columns[4 + k];
  }
  __syncthreads();
  const uint32_t column = first_column + threadIdx.x;
  if (column >= p.columns) return;
  float total = 0.0f;
  for (uint32_t w = 0; w < kWarps; ++w) total += scratch[w * kTile + threadIdx.x];
  column_sums[size_t{blockIdx.y} * p.columns + column] = total;
}

}  // namespace

bool adalomo_squares(const Call& call, Stream stream) {
  const auto& p = call.as<abi::AdalomoSquares>();
  return with_float(call.dtype(0), [&](auto t) {
    using G = decltype(t);
    launch(adalomo_squares_kernel<G>, dim3(ceil_div(p.columns, kTile), ceil_div(p.rows, abi::kAdalomoTileRows)),
           dim3(kThreads), kWarps * kTile * sizeof(float), stream, p, call.data<G>(0), call.data<abi::UpdateScalars>(1),
           call.data<float>(2), call.data<float>(3));
  });
}

}  // namespace tandem::kernels
