// tensor_verdict: see core/abi/tensor_verdict.h. One workgroup; sums are verdict.glsl's.
// reads partials (count), loss, scalars, updates, last_norm; writes verdict and squares.
//! variant f32 f32 u32 u32 - u32 f32 :
//! variant f32 f32 u32 u32 f32 u32 f32 : -DLAST_NORM
//! iterations p.count / 64 + 12
//! grid 1
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/numeric.h"
#include "core/abi/step_verdict.h"
#include "core/abi/step_scalars.h"
#include "core/abi/tensor_verdict.h"
#include "shaders/common/tree.glsl"
#include "shaders/common/verdict.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { TensorVerdict p; };
layout(binding = 0) readonly buffer Partials { float partials[]; };
layout(binding = 1) readonly buffer Loss { float loss_sum; };
layout(binding = 2) readonly buffer Scalars { StepScalars scalars; };
layout(binding = 3) readonly buffer Updates { uint updates; };
#ifdef LAST_NORM
layout(binding = 4) readonly buffer LastNorm { float last_norm; };
#endif
struct Words {
  Verdict verdict;
  uint unused[kTensorWords - 8u];
};
layout(binding = 5) writeonly buffer Out { Words words; };
layout(binding = 6) writeonly buffer Squares { float squares[kTensorWords]; };

void main() {
  const uint i = gl_LocalInvocationID.x;
  precise float sum = 0.0;
  ADD_PARTIALS(sum, partials, 0u, p.count)
  squares[i] = i == 0u ? sum : 0.0;
  if (i < kTensorWords - 8u) words.unused[i] = 0u;
  if (i != 0u) return;

  const float norm = sqrt(sum);
  precise float loss = loss_sum * scalars.inverse_targets;
  const bool counts = is_finite(loss) && scalars.targets != 0u;
#ifdef LAST_NORM
  const float coefficient = last_norm == 0.0 ? 1.0 : clip_coefficient(p.grad_clip, last_norm);
#else
  const float coefficient = clip_coefficient(p.grad_clip, norm);
#endif
  words.verdict = Verdict(scalars.learning_rate, coefficient, uint(!counts || !is_finite(norm)), scalars.step, scalars.seed_low,
                          scalars.seed_high, updates + uint(counts), scalars.rank);
}
