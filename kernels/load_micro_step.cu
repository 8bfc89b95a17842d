// load_micro_step: see core/abi/load_micro_step.h. A thread an element: a micro-step's first byte may lie at any word.
// Reads count elements of inputs and 8 bytes of counter, writes x (count): 16k tokens are 128 KiB, the time of a
// launch. Sums nothing.
#include "core/abi/load_micro_step.h"

#include "kernels/device.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    load_micro_step_kernel(abi::LoadMicroStep p, const int32_t* __restrict__ inputs,
                           const int32_t* __restrict__ counter, int32_t* __restrict__ x) {
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x, slot = uint32_t(counter[0] - 1) & 1;
  if (i < p.count) x[i] = inputs[(size_t(slot) * p.micro_steps + uint32_t(counter[1])) * p.count + i];
}

}  // namespace

bool load_micro_step(const Call& call, Stream stream) {
  const auto& p = call.as<abi::LoadMicroStep>();
  launch(load_micro_step_kernel, dim3(ceil_div(p.count, kThreads)), dim3(kThreads), 0, stream, p, call.data<int32_t>(0),
         call.data<int32_t>(1), call.data<int32_t>(2));
  return true;
}

}  // namespace tandem::kernels
