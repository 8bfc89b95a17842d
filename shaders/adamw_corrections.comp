// adamw_corrections: see core/abi/adamw_corrections.h. One invocation per verdict.
// reads verdict; writes update.
//! variant u32 u32 :
//! iterations 6
//! grid std::max(p.tensors, 1u)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/adamw_corrections.h"
#include "core/abi/numeric.h"
#include "core/abi/step_scalars.h"

layout(local_size_x = 1) in;
layout(push_constant) uniform Parameters { AdamwCorrections p; };
layout(binding = 0) readonly buffer In { uint verdicts[]; };
layout(binding = 1) writeonly buffer Out { uint updates[]; };

float correction(float log_beta, uint done) {
  return log_beta == 0.0 ? 1.0 : one_minus_exp(float(done) * log_beta);
}

void main() {
  // words of Verdict and of UpdateScalars
  const uint first = gl_WorkGroupID.x * kTensorWords, done = verdicts[first + 6u];
  updates[first] = verdicts[first];           // learning rate
  updates[first + 1u] = verdicts[first + 1u];  // coefficient
  updates[first + 2u] = floatBitsToUint(correction(p.log_beta1, done));
  updates[first + 3u] = floatBitsToUint(sqrt(correction(p.log_beta2, done)));
  for (uint i = 0u; i < 4u; ++i) updates[first + 4u + i] = verdicts[first + 2u + i];  // skipped, step, seed
  updates[first + 8u] = verdicts[first + 7u];  // rank
  updates[first + 9u] = done;
}
