// rank_max: see core/abi/rank_max.h. A thread takes 4 words.
// Reads parts (ranks, count), writes y (count): 64 KiB for a model of 64 layers, the time of a launch. No sums.
#include "core/abi/rank_max.h"

#include "kernels/device.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    rank_max_kernel(abi::RankMax p, const uint4* __restrict__ parts, uint4* __restrict__ y) {
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x, words = p.count / 4;
  if (i >= words) return;
  uint4 largest = parts[i];
#pragma unroll 4
  for (uint32_t r = 1; r < p.ranks; ++r) {
    const uint4 v = parts[size_t{r} * words + i];
    largest = make_uint4(max(largest.x, v.x), max(largest.y, v.y), max(largest.z, v.z), max(largest.w, v.w));
  }
  y[i] = largest;
}

}  // namespace

bool rank_max(const Call& call, Stream stream) {
  const auto& p = call.as<abi::RankMax>();
  launch(rank_max_kernel, dim3(ceil_div(p.count / 4, kThreads)), dim3(kThreads), 0, stream, p, call.data<uint4>(0),
         call.data<uint4>(1));
  return true;
}

}  // namespace tandem::kernels
