// step_verdict: see core/abi/step_verdict.h. One block of up to 1024 threads; one writes what the sum decides.
// Reads partials (count) and some 100 bytes, writes verdict, updates and the report's slot: a 7B model's 116k partials
// are 464 KB, which one block reads in about 5 us.
// Sums are verdict.cuh's; by_tensor the partials that are not finite are counted alike.
#include "core/abi/step_verdict.h"

#include "core/abi/step_scalars.h"
#include "kernels/verdict.cuh"

namespace tandem::kernels {
namespace {

__device__ uint32_t tensors_skipped(const float* partials, uint32_t count, float* scratch) {
  float skipped = 0.0f;  // below 2^24: exact
  for (uint32_t i = threadIdx.x; i < count; i += blockDim.x) skipped += is_finite(partials[i]) ? 0.0f : 1.0f;
  return uint32_t(block_sum(skipped, scratch));
}

__global__ void __launch_bounds__(kMostThreads)
    step_verdict_kernel(abi::StepVerdict p, const float* __restrict__ partials, const float* __restrict__ losses,
                        const float* __restrict__ vectors, const abi::StepScalars* __restrict__ scalars,
                        const int32_t* __restrict__ counter, const uint32_t* __restrict__ scale_counts,
                        abi::Verdict* verdict, uint32_t* updates, uint32_t* report, float* last_norm) {
  DYN_SHARED(float, scratch);
  float squares = 0.0f;
  for (uint32_t r = 0; r < p.ranks; ++r) squares += sum_of_partials(partials + size_t{r} * p.count, p.count, scratch);
  if (p.vectors != 0) squares += sum_of_partials(vectors, p.vectors, scratch);
  const uint32_t skipped_tensors = p.by_tensor != 0 ? tensors_skipped(partials, p.count, scratch) : 0;
  if (threadIdx.x != 0) return;

  const float norm = sqrtf(squares);
  float loss_sum = losses[0];
  for (uint32_t r = 1; r < p.ranks; ++r) loss_sum += losses[r];
  const float loss = loss_sum * scalars->inverse_targets;
  const bool skipped = !is_finite(loss) || (p.by_tensor == 0 && !is_finite(norm)) || scalars->targets == 0;
  const uint32_t done = *updates + (skipped ? 0 : 1);
  if (last_norm != nullptr && !skipped && is_finite(norm)) *last_norm = norm;
  *updates = done;
  *verdict = {scalars->learning_rate,
              clip_coefficient(p.grad_clip, norm),
              skipped,
              scalars->step,
              scalars->seed_low,
              scalars->seed_high,
              done,
              scalars->rank};
  auto* const slot =
      reinterpret_cast<abi::StepReport*>(report + (uint32_t(counter[0] - 1) & 1) * abi::kStepScalarWords);
  const bool counted = scale_counts != nullptr;
  *slot = {
      loss,           norm, skipped, done, scalars->step, counted ? scale_counts[0] : 0, counted ? scale_counts[1] : 0,
      skipped_tensors};
}

}  // namespace

bool step_verdict(const Call& call, Stream stream) {
  const auto& p = call.as<abi::StepVerdict>();
  launch(step_verdict_kernel, dim3(1), dim3(threads_for(max(p.count, p.vectors))), 32 * sizeof(float), stream, p,
         call.data<float>(0), call.data<float>(1), call.data<float>(2), call.data<abi::StepScalars>(3),
         call.data<int32_t>(4), call.data<uint32_t>(5), call.data<abi::Verdict>(6), call.data<uint32_t>(7),
         call.data<uint32_t>(8), call.data<float>(9));
  return true;
}

}  // namespace tandem::kernels
