// tensor_verdict: see core/abi/tensor_verdict.h. One block of up to 1024 threads; one writes what the sum decides.
// Reads partials (count) and some 80 bytes, writes verdict (1, 64) and squares (64). Sums are verdict.cuh's.
#include "core/abi/tensor_verdict.h"

#include "core/abi/step_scalars.h"
#include "core/abi/step_verdict.h"
#include "kernels/verdict.cuh"

namespace tandem::kernels {
namespace {

__global__ void __launch_bounds__(kMostThreads)
    tensor_verdict_kernel(abi::TensorVerdict p, const float* __restrict__ partials, const float* __restrict__ loss_sum,
                          const abi::StepScalars* __restrict__ scalars, const uint32_t* __restrict__ updates,
                          const float* __restrict__ last_norm, uint32_t* verdict, float* squares) {
  DYN_SHARED(float, scratch);
  const float sum = sum_of_partials(partials, p.count, scratch);
  for (uint32_t i = threadIdx.x; i < abi::kTensorWords; i += blockDim.x) {
    if (i >= sizeof(abi::Verdict) / sizeof(uint32_t)) verdict[i] = 0;
    squares[i] = i == 0 ? sum : 0.0f;
  }
  if (threadIdx.x != 0) return;

  const float norm = sqrtf(sum), loss = *loss_sum * scalars->inverse_targets;
  const bool counts = is_finite(loss) && scalars->targets != 0;
  const bool clips = last_norm == nullptr || *last_norm != 0.0f;
  *reinterpret_cast<abi::Verdict*>(verdict) = {
      scalars->learning_rate,
      clips ? clip_coefficient(p.grad_clip, last_norm == nullptr ? norm : *last_norm) : 1.0f,
      !counts || !is_finite(norm),
      scalars->step,
      scalars->seed_low,
      scalars->seed_high,
      *updates + (counts ? 1 : 0),
      scalars->rank};
}

}  // namespace

bool tensor_verdict(const Call& call, Stream stream) {
  const auto& p = call.as<abi::TensorVerdict>();
  launch(tensor_verdict_kernel, dim3(1), dim3(threads_for(p.count)), 32 * sizeof(float), stream, p, call.data<float>(0),
         call.data<float>(1), call.data<abi::StepScalars>(2), call.data<uint32_t>(3), call.data<float>(4),
         call.data<uint32_t>(5), call.data<float>(6));
  return true;
}

}  // namespace tandem::kernels
