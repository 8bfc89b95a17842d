// adalomo_rate: see core/abi/adalomo_rate.h. One workgroup of 64; sums are verdict.glsl's.
// reads partials, update, row_totals; writes rates (2).
//! variant f32 u32 f32 f32 : -DBY_ROW
//! variant f32 u32 - f32 :
//! iterations p.partials / 32 + p.totals / 64 + 40
//! grid 1
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/adalomo_rate.h"
#include "core/abi/numeric.h"
#include "core/abi/adamw_corrections.h"
#include "core/abi/segments.h"
#include "core/abi/step_scalars.h"
#include "shaders/common/tree.glsl"
#include "shaders/common/update_words.glsl"
#include "shaders/common/verdict.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { AdalomoRate p; };
layout(binding = 0) readonly buffer Partials { float partials[]; };
#ifdef BY_ROW
layout(binding = 2) readonly buffer RowTotals { float row_totals[]; };
#endif
layout(binding = 3) writeonly buffer Rates { float rates[]; };

void main() {
  precise float u = 0.0, w = 0.0, root = 1.0;
  ADD_PARTIALS(u, partials, 0u, p.partials)
  ADD_PARTIALS(w, partials, p.partials, p.partials)
#ifdef BY_ROW
  precise float rows = 0.0;
  ADD_PARTIALS(rows, row_totals, 0u, p.totals)
  root = sqrt(rows / float(p.true_rows));
#endif
  if (gl_LocalInvocationID.x != 0u) return;
  const float count = float(p.count);
  precise float rate = words_from(p.update_row * kTensorWords).learning_rate * max(1e-3, sqrt(w / count));
  rates[0] = rate;
  rates[1] = rate * root / max(1.0, sqrt(u / count));
}
