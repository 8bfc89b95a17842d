// step_verdict: see core/abi/step_verdict.h. One block of up to 1024 threads; one writes what the sum decides.
// Reads partials (count) and some 100 bytes, writes verdict, updates and the report's slot: a 7B model's 116k partials
// are 464 KB, which one block reads in about 5 us.
// Thread i adds partials i, i + threads, ... in order; then block_sum's order.
#include "core/abi/step_verdict.h"

#include "core/abi/step_scalars.h"
#include "kernels/device.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kMostThreads = 1024;

__device__ bool is_finite(float x) {
  return (abi::float_bits(x) & 0x7f800000u) != 0x7f800000u;
}

__global__ void __launch_bounds__(kMostThreads)
    step_verdict_kernel(abi::StepVerdict p, const float* __restrict__ partials, const float* __restrict__ loss_sum,
                        const abi::StepScalars* __restrict__ scalars, const int32_t* __restrict__ counter,
                        abi::Verdict* verdict, uint32_t* updates, uint32_t* report) {
  DYN_SHARED(float, scratch);
  float sum = 0.0f;
#pragma unroll 8
  for (uint32_t i = threadIdx.x; i < p.count; i += blockDim.x) sum += partials[i];
  const float norm = sqrtf(block_sum(sum, scratch));
  if (threadIdx.x != 0) return;

  const float loss = *loss_sum * scalars->inverse_targets;
  const bool skipped = !is_finite(loss) || !is_finite(norm) || scalars->targets == 0;
  const uint32_t done = *updates + (skipped ? 0 : 1);
  const float clipped = p.grad_clip / (norm + 1e-6f);
  *updates = done;
  *verdict = {scalars->learning_rate,
              p.grad_clip == 0.0f ? 1.0f : fminf(1.0f, clipped),
              skipped,
              scalars->step,
              scalars->seed_low,
              scalars->seed_high,
              done};
  auto* const slot =
      reinterpret_cast<abi::StepReport*>(report + (uint32_t(counter[0] - 1) & 1) * abi::kStepScalarWords);
  *slot = {loss, norm, skipped, done, scalars->step};
}

}  // namespace

bool step_verdict(const Call& call, Stream stream) {
  const auto& p = call.as<abi::StepVerdict>();
  const uint32_t threads = min(kMostThreads, ceil_div(p.count, 32) * 32);
  launch(step_verdict_kernel, dim3(1), dim3(threads), 32 * sizeof(float), stream, p, call.data<float>(0),
         call.data<float>(1), call.data<abi::StepScalars>(2), call.data<int32_t>(3), call.data<abi::Verdict>(4),
         call.data<uint32_t>(5), call.data<uint32_t>(6));
  return true;
}

}  // namespace tandem::kernels
