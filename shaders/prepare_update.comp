// prepare_update: see core/abi/prepare_update.h. One workgroup.
// reads partials (count), loss, scalars, counter; writes update; updates t and the report's slot.
// Invocation i adds partials i, i + 64, ... in order; then a tree over the 64.
//! variant f32 f32 u32 i32 u32 u32 u32 :
//! grid 1
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/numeric.h"
#include "core/abi/prepare_update.h"
#include "core/abi/step_scalars.h"
#include "shaders/common/tree.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { PrepareUpdate p; };
layout(binding = 0) readonly buffer Partials { float partials[]; };
layout(binding = 1) readonly buffer Loss { float loss_sum; };
layout(binding = 2) readonly buffer Scalars { StepScalars scalars; };
layout(binding = 3) readonly buffer Counter { int counter[]; };
layout(binding = 4) writeonly buffer Update { UpdateScalars update; };
layout(binding = 5) buffer T { uint t; };
struct ReportSlot {
  StepReport report;
  uint unused[kStepScalarWords - 5u];
};
layout(binding = 6) writeonly buffer Report { ReportSlot slots[2]; };

bool is_finite(float x) { return (float_bits(x) & 0x7f800000u) != 0x7f800000u; }

float correction(float log_beta) { return log_beta == 0.0 ? 1.0 : one_minus_exp(float(t) * log_beta); }

void main() {
  precise float sum = 0.0;
  for (uint i = gl_LocalInvocationID.x; i < p.count; i += 64u) sum += partials[i];
  const float norm = sqrt(sum_workgroup(sum));
  if (gl_LocalInvocationID.x != 0u) return;

  precise float loss = loss_sum * scalars.inverse_targets;
  const bool skipped = !is_finite(loss) || !is_finite(norm) || scalars.targets == 0u;
  if (!skipped) t += 1u;
  precise float clipped = p.grad_clip / (norm + 1e-6);
  update.learning_rate = scalars.learning_rate;
  update.coefficient = p.grad_clip == 0.0 ? 1.0 : min(1.0, clipped);
  update.correction1 = correction(p.log_beta1);
  update.correction2_root = sqrt(correction(p.log_beta2));
  update.skipped = uint(skipped);
  update.step = scalars.step;
  update.seed_low = scalars.seed_low;
  update.seed_high = scalars.seed_high;
  slots[uint(counter[0] - 1) & 1u].report = StepReport(loss, norm, uint(skipped), t, scalars.step);
}
