// loss_sum: see core/abi/loss_sum.h. One block, of up to 1024 threads.
// Reads losses (count) and loss, writes loss: 16k losses are 64 KiB, the time of a launch.
// Thread i adds losses i, i + threads, ... in order; then block_sum's order; loss is added last.
#include "core/abi/loss_sum.h"

#include "kernels/device.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kMostThreads = 1024;

__global__ void __launch_bounds__(kMostThreads)
    loss_sum_kernel(const float* __restrict__ losses, float* loss, uint32_t count) {
  DYN_SHARED(float, scratch);
  float sum = 0.0f;
  for (uint32_t i = threadIdx.x; i < count; i += blockDim.x) sum += losses[i];
  const float all = block_sum(sum, scratch);
  if (threadIdx.x == 0) loss[0] += all;
}

}  // namespace

bool loss_sum(const Call& call, Stream stream) {
  const uint32_t count = call.as<abi::LossSum>().count, threads = min(kMostThreads, ceil_div(count, 32) * 32);
  launch(loss_sum_kernel, dim3(1), dim3(threads), 32 * sizeof(float), stream, call.data<float>(0), call.data<float>(1),
         count);
  return true;
}

}  // namespace tandem::kernels
