// What the kernels that reduce a row share. A block of 256 threads has rows of 1, 2, 4 or 8 warps each, as few as keep
// a row of up to 8192 columns in registers, 4 packs a thread; what is wider is read a second time. A sum over a row:
// thread t of a row's threads adds packs t, t + threads, ... in order, each by sum_of; then the lanes by warp_sum, then
// the warps in order.
#pragma once

#include <type_traits>

#include "kernels/device.cuh"

namespace tandem::kernels {

constexpr uint32_t kRowThreads = 256, kMostRowWarps = kRowThreads / 32;
template <typename T>
constexpr uint32_t kRowPacks = 64 / sizeof(Raw<T>);    // a thread keeps so many
constexpr size_t kRowShared = 2 * 32 * sizeof(float);  // scratch of row_sum, then of raise_amax

// f(std::integral_constant<uint32_t, warps>{}) for a row's warps
template <typename T, typename F>
void with_row_warps(uint32_t columns, const F& f) {
  constexpr uint32_t kColumns = 32 * kRowPacks<T> * 8;  // a warp's
  if (columns <= kColumns) return f(std::integral_constant<uint32_t, 1>{});
  if (columns <= 2 * kColumns) return f(std::integral_constant<uint32_t, 2>{});
  if (columns <= 4 * kColumns) return f(std::integral_constant<uint32_t, 4>{});
  f(std::integral_constant<uint32_t, kMostRowWarps>{});
}

template <uint32_t warps>
dim3 row_grid(uint32_t rows) {
  return dim3(ceil_div(rows, kMostRowWarps / warps));
}

// f(i) for the thread's packs of a wide row that it does not keep, in order; packs: the row's
template <typename T, uint32_t warps, typename F>
__device__ __forceinline__ void for_packs_not_kept(uint32_t lane, uint32_t packs, const F& f) {
  if constexpr (warps == kMostRowWarps)
    for (uint32_t i = lane + kRowPacks<T> * kRowThreads; i < packs; i += kRowThreads) f(i);
}

// every thread of the block calls it; scratch: 8 floats of shared memory
template <uint32_t warps>
__device__ __forceinline__ float row_sum(float x, float* scratch) {
  x = warp_sum(x);
  if constexpr (warps == 1) return x;
  const uint32_t warp = threadIdx.x / 32, first = warp / warps * warps;
  if (threadIdx.x % 32 == 0) scratch[warp] = x;
  __syncthreads();
  float sum = 0.0f;
  for (uint32_t w = 0; w < warps; ++w) sum += scratch[first + w];
  return sum;
}

}  // namespace tandem::kernels
