// step_verdict: see core/abi/step_verdict.h. One workgroup.
// reads partials (ranks, count), losses, vectors, scalars, counter, scale_counts; writes verdict; updates `updates`, the report's slot and last_norm.
// Of each rank, and of vectors: verdict.glsl's sums. by_tensor the partials that are not finite are counted alike.
//! variant f32 f32 f32 u32 i32 u32 u32 u32 u32 : -DVECTORS -DCOUNTS
//! variant f32 f32 f32 u32 i32 - u32 u32 u32 : -DVECTORS
//! variant f32 f32 - u32 i32 u32 u32 u32 u32 : -DCOUNTS
//! variant f32 f32 - u32 i32 - u32 u32 u32 :
//! variant f32 f32 - u32 i32 u32 u32 u32 u32 f32 : -DCOUNTS -DLAST_NORM
//! variant f32 f32 - u32 i32 - u32 u32 u32 f32 : -DLAST_NORM
//! iterations (p.count / 64 + 11) * (p.ranks + p.by_tensor) + p.vectors / 64 + 12
//! grid 1
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/numeric.h"
#include "core/abi/step_verdict.h"
#include "core/abi/step_scalars.h"
#include "shaders/common/tree.glsl"
#include "shaders/common/verdict.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { StepVerdict p; };
layout(binding = 0) readonly buffer Partials { float partials[]; };
layout(binding = 1) readonly buffer Losses { float losses[]; };
#ifdef VECTORS
layout(binding = 2) readonly buffer Vectors { float vectors[]; };
#endif
layout(binding = 3) readonly buffer Scalars { StepScalars scalars; };
layout(binding = 4) readonly buffer Counter { int counter[]; };
#ifdef COUNTS
layout(binding = 5) readonly buffer ScaleCounts { uint scale_counts[2]; };
#else
const uint scale_counts[2] = {0u, 0u};
#endif
layout(binding = 6) writeonly buffer Out { Verdict verdict; };
layout(binding = 7) buffer Updates { uint updates; };
struct ReportSlot {
  StepReport report;
  uint unused[kStepScalarWords - 8u];
};
layout(binding = 8) writeonly buffer Report { ReportSlot slots[2]; };
#ifdef LAST_NORM
layout(binding = 9) writeonly buffer LastNorm { float last_norm; };
#endif

void main() {
  precise float squares = 0.0;
  for (uint r = 0u; r < p.ranks; ++r) ADD_PARTIALS(squares, partials, r * p.count, p.count)
#ifdef VECTORS
  ADD_PARTIALS(squares, vectors, 0u, p.vectors)
#endif
  uint skipped_tensors = 0u;
  if (p.by_tensor != 0u) {
    float own = 0.0;  // below 2^24: exact
    for (uint i = gl_LocalInvocationID.x; i < p.count; i += 64u) own += is_finite(partials[i]) ? 0.0 : 1.0;
    barrier();
    skipped_tensors = uint(sum_workgroup(own));
  }
  if (gl_LocalInvocationID.x != 0u) return;

  const float norm = sqrt(squares);
  precise float loss = losses[0];
  for (uint r = 1u; r < p.ranks; ++r) loss += losses[r];
  loss = loss * scalars.inverse_targets;
  const bool skipped = !is_finite(loss) || (p.by_tensor == 0u && !is_finite(norm)) || scalars.targets == 0u;
  if (!skipped) updates += 1u;
#ifdef LAST_NORM
  if (!skipped && is_finite(norm)) last_norm = norm;
#endif
  verdict.learning_rate = scalars.learning_rate;
  verdict.coefficient = clip_coefficient(p.grad_clip, norm);
  verdict.skipped = uint(skipped);
  verdict.step = scalars.step;
  verdict.seed_low = scalars.seed_low;
  verdict.seed_high = scalars.seed_high;
  verdict.updates = updates;
  verdict.rank = scalars.rank;
  slots[uint(counter[0] - 1) & 1u].report = StepReport(loss, norm, uint(skipped), updates, scalars.step, scale_counts[0], scale_counts[1],
                                                       skipped_tensors);
}
