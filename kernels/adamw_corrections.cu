// adamw_corrections: see core/abi/adamw_corrections.h. One thread per verdict: it reads 32 bytes and
// writes 40.
#include "core/abi/adamw_corrections.h"

#include "core/abi/step_scalars.h"
#include "core/abi/step_verdict.h"
#include "kernels/device.cuh"

namespace tandem::kernels {
namespace {

__device__ float correction(float log_beta, uint32_t updates) {
  return log_beta == 0.0f ? 1.0f : abi::one_minus_exp(float(updates) * log_beta);
}

__global__ void adamw_corrections_kernel(abi::AdamwCorrections p, const uint32_t* __restrict__ verdicts,
                                         uint32_t* updates) {
  const uint32_t first = blockIdx.x * abi::kTensorWords;
  const abi::Verdict v = *reinterpret_cast<const abi::Verdict*>(verdicts + first);
  *reinterpret_cast<abi::UpdateScalars*>(updates + first) = {v.learning_rate,
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
  const auto& p = call.as<abi::AdamwCorrections>();
  launch(adamw_corrections_kernel, dim3(max(p.tensors, 1u)), dim3(1), 0, stream, p, call.data<uint32_t>(0),
         call.data<uint32_t>(1));
  return true;
}

}  // namespace tandem::kernels
