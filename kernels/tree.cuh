// A sum over a block of 64 threads in the order of Vulkan's (shaders/common/tree.glsl): neighbours, then pairs of them.
#pragma once

#include "kernels/device.cuh"

namespace tandem::kernels {

constexpr uint32_t kTreeThreads = 64;

// Every thread has the sum. scratch: 2 floats of shared memory, free again after the next __syncthreads
__device__ __forceinline__ float tree_sum(float x, float* scratch) {
  for (uint32_t step = 1; step < 32; step *= 2) x += __shfl_xor_sync(kFullWarp, x, step);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = x;
  __syncthreads();
  return scratch[0] + scratch[1];
}

}  // namespace tandem::kernels
