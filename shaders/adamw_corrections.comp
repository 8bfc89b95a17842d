// adamw_corrections: see core/abi/adamw_corrections.h. One invocation.
// reads verdict; writes update.
//! variant u32 u32 :
//! grid 1
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/adamw_corrections.h"
#include "core/abi/numeric.h"
#include "core/abi/step_verdict.h"

layout(local_size_x = 1) in;
layout(push_constant) uniform Parameters { AdamwCorrections p; };
layout(binding = 0) readonly buffer In { Verdict verdict; };
layout(binding = 1) writeonly buffer Out { UpdateScalars update; };

float correction(float log_beta) {
  return log_beta == 0.0 ? 1.0 : one_minus_exp(float(verdict.updates) * log_beta);
}

void main() {
  update.learning_rate = verdict.learning_rate;
  update.coefficient = verdict.coefficient;
  update.correction1 = correction(p.log_beta1);
  update.correction2_root = sqrt(correction(p.log_beta2));
  update.skipped = verdict.skipped;
  update.step = verdict.step;
  update.seed_low = verdict.seed_low;
  update.seed_high = verdict.seed_high;
  update.rank = verdict.rank;
  update.updates = verdict.updates;
}
