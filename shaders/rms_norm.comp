// rms_norm: see core/abi/rms_norm.h. 8 lanes a row.
// reads x, delta (rows, columns), weight (columns); writes sum, y (rows, columns), rstd (rows) f32 and raises amax (64).
// Sum of squares: lane l adds packs l, l+8, ... in order, its 8 elements apart; then those as sum_of, then the lanes by sum_lanes.
//! variant f32 - f32 - f32 f32 - : -DT=f32
//! variant f32 - f32 - f32 f32 u32 : -DT=f32 -DAMAX
//! variant f32 f32 f32 f32 f32 f32 - : -DT=f32 -DDELTA
//! variant f32 f32 f32 f32 f32 f32 u32 : -DT=f32 -DDELTA -DAMAX
//! variant bf16 - bf16 - bf16 f32 - : -DT=bf16
//! variant bf16 - bf16 - bf16 f32 u32 : -DT=bf16 -DAMAX
//! variant bf16 bf16 bf16 bf16 bf16 f32 - : -DT=bf16 -DDELTA
//! variant bf16 bf16 bf16 bf16 bf16 f32 u32 : -DT=bf16 -DDELTA -DAMAX
//! subgroups 8 64
//! iterations 2 * (p.columns / 64 + 2)
//! grid divide_up(p.rows, 8)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/rms_norm.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"

layout(push_constant) uniform Parameters { RmsNorm p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer x;
layout(binding = 2, rgba32ui) uniform readonly uimageBuffer weight;
layout(binding = 4) writeonly buffer Y { uvec4 y[]; };
layout(binding = 5) writeonly buffer Rstd { float rstd[]; };
AMAX_OPERAND(6)

#ifdef DELTA
layout(binding = 1, rgba32ui) uniform readonly uimageBuffer delta;
layout(binding = 3) writeonly buffer Sum { uvec4 sum[]; };
Pack load_sum(uint i) { return ROUND(T, add(LOAD(T, x, i), LOAD(T, delta, i))); }
#else
Pack load_sum(uint i) { return LOAD(T, x, i); }
#endif

void work() {
  const uint row = gl_WorkGroupID.x * 8u + group(), packs = p.columns / 8u;
  uint largest = 0u;
  if (row < p.rows) {
    const uint first = row * packs;
    Pack squares = splat(0.0);
    for (uint i = lane(); i < packs; i += 8u) {
      const Pack s = load_sum(first + i);
      squares = add(squares, multiply(s, s));
    }
    precise const float scale_of_row = 1.0 / sqrt(sum_lanes(sum_of(squares)) / float(p.columns) + p.epsilon);
    for (uint i = lane(); i < packs; i += 8u) {
      const Pack s = load_sum(first + i);
#ifdef DELTA
      STORE(T, sum, first + i, s);
#endif
      const Pack v = multiply(scale(s, scale_of_row), LOAD(T, weight, i));
      STORE_RAISING(T, y, first + i, v, largest);
    }
    if (lane() == 0u) rstd[row] = scale_of_row;
  }
  raise_amax(largest);
}
