// rms_norm_backward: see core/abi/rms_norm_backward.h. 8 lanes a row.
// reads dy, dsum, s (rows, columns), weight (columns), rstd (rows) f32; writes dx (rows, columns) and raises amax (64).
// Sum of w * s: lane l adds packs l, l+8, ... in order, its 8 elements apart; then those as sum_of, then the lanes by sum_lanes.
//! variant f32 - f32 f32 f32 f32 - : -DT=f32
//! variant f32 - f32 f32 f32 f32 u32 : -DT=f32 -DAMAX
//! variant f32 f32 f32 f32 f32 f32 - : -DT=f32 -DDSUM
//! variant f32 f32 f32 f32 f32 f32 u32 : -DT=f32 -DDSUM -DAMAX
//! variant bf16 - bf16 bf16 f32 bf16 - : -DT=bf16
//! variant bf16 - bf16 bf16 f32 bf16 u32 : -DT=bf16 -DAMAX
//! variant bf16 bf16 bf16 bf16 f32 bf16 - : -DT=bf16 -DDSUM
//! variant bf16 bf16 bf16 bf16 f32 bf16 u32 : -DT=bf16 -DDSUM -DAMAX
//! subgroups 8 64
//! iterations 2 * (p.columns / 64 + 2)
//! grid divide_up(p.rows, 8)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/rms_norm_backward.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"

layout(push_constant) uniform Parameters { RmsNormBackward p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer dy;
#ifdef DSUM
layout(binding = 1, rgba32ui) uniform readonly uimageBuffer dsum;
#endif
layout(binding = 2, rgba32ui) uniform readonly uimageBuffer s;
layout(binding = 3, rgba32ui) uniform readonly uimageBuffer weight;
layout(binding = 4) readonly buffer Rstd { float rstd[]; };
layout(binding = 5) writeonly buffer Dx { uvec4 dx[]; };
AMAX_OPERAND(6)

void work() {
  const uint row = gl_WorkGroupID.x * 8u + group(), packs = p.columns / 8u;
  uint largest = 0u;
  if (row < p.rows) {
    const uint first = row * packs;
    Pack products = splat(0.0);
    for (uint i = lane(); i < packs; i += 8u) {
      const Pack w = multiply(LOAD(T, dy, first + i), LOAD(T, weight, i));
      products = add(products, multiply(w, LOAD(T, s, first + i)));
    }
    const float r = rstd[row];
    precise const float slope = -(r * r * (sum_lanes(sum_of(products)) / float(p.columns)));
    for (uint i = lane(); i < packs; i += 8u) {
      const Pack w = multiply(LOAD(T, dy, first + i), LOAD(T, weight, i));
      Pack v = scale(add(w, scale(LOAD(T, s, first + i), slope)), r);
#ifdef DSUM
      v = add(LOAD(T, dsum, first + i), v);
#endif
      STORE_RAISING(T, dx, first + i, v, largest);
    }
  }
  raise_amax(largest);
}
