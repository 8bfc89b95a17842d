// bias_gradient: see core/abi/bias_gradient.h. A workgroup 64 columns; the order of the sum: shaders/common/column_sum.glsl.
// reads dy (rows, columns); updates g (columns).
//! variant f32 f32 : -DT=f32 -DG=f32
//! variant bf16 bf16 : -DT=bf16 -DG=bf16
//! variant bf16 f32 : -DT=bf16 -DG=f32
//! subgroups 8 64
//! iterations p.rows / 8 + 11
//! grid divide_up(p.columns, 64)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/bias_gradient.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"
#include "shaders/common/texel.glsl"
#include "shaders/common/column_sum.glsl"

layout(push_constant) uniform Parameters { BiasGradient p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer dy;
layout(binding = 1, rgba32ui) uniform uimageBuffer g;

void work() {
  const uint packs = p.columns / 8u, i = min(column_pack(), packs - 1u);
  precise vec4 low = vec4(0.0), high = vec4(0.0);
  for (uint r = group(); r < p.rows; r += 8u) {
    const Pack v = LOAD(T, dy, r * packs + i);
    low += v.low;
    high += v.high;
  }
  const Pack sum = sum_groups(Pack(low, high));
  if (last_group() && column_pack() < packs) {
    const Pack old = LOAD(G, g, i);
    STORE_TEXEL(G, g, i, Pack(old.low + sum.low, old.high + sum.high));
  }
}
