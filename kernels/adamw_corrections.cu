// adamw_corrections: see core/abi/adamw_corrections.h. One thread: it reads 32 bytes and writes 40.
#include "core/abi/adamw_corrections.h"

#include "core/abi/step_verdict.h"
#include "kernels/device.cuh"

namespace tandem::kernels {
namespace {

__device__ float correction(float log_beta, uint32_t updates) {
  return log_beta == 0.0f ? 1.0f : abi::one_minus_exp(float(updates) * log_beta);
}

__global__ void adamw_corrections_kernel(abi::AdamwCorrections p, const abi::Verdict* __restrict__ verdict,
                                         abi::UpdateScalars* update) {
  const abi::Verdict v = *verdict;
  *update = {v.learning_rate,
             v.coefficient,
             correction(p.log_beta1, v.updates),
             sqrtf(correction(p.log_beta2, v.updates)),
             v.skipped,
             v.step,
             v.seed_low,
             v.seed_high,
             v.rank,
             v.updates};
}

}  // namespace

bool adamw_corrections(const Call& call, Stream stream) {
  launch(adamw_corrections_kernel, dim3(1), dim3(1), 0, stream, call.as<abi::AdamwCorrections>(),
         call.data<abi::Verdict>(0), call.data<abi::UpdateScalars>(1));
  return true;
}

}  // namespace tandem::kernels
