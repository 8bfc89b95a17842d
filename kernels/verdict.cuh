// What a step's verdict and a tensor's share: one block adds partial sums, one thread decides. Thread i adds partials
// i, i + threads, ... in order; then block_sum's order.
#pragma once

#include "kernels/device.cuh"

namespace tandem::kernels {

constexpr uint32_t kMostThreads = 1024;

__device__ __forceinline__ bool is_finite(float x) {
  return (abi::float_bits(x) & 0x7f800000u) != 0x7f800000u;
}

__device__ __forceinline__ float sum_of_partials(const float* partials, uint32_t count, float* scratch) {
  float sum = 0.0f;
#pragma unroll 8
  for (uint32_t i = threadIdx.x; i < count; i += blockDim.x) sum += partials[i];
  const float all = block_sum(sum, scratch);
  __syncthreads();  // all have read the scratch
  return all;
}

__device__ __forceinline__ float clip_coefficient(float grad_clip, float norm) {
  return grad_clip == 0.0f ? 1.0f : fminf(1.0f, grad_clip / (norm + 1e-6f));
}

// Threads of the block that adds so many.
inline uint32_t threads_for(uint32_t count) {
  return min(kMostThreads, ceil_div(count, 32) * 32);
}

}  // namespace tandem::kernels
