// head_rms_norm_backward: see core/abi/head_rms_norm_backward.h. 8 lanes a head of a row; workgroups in y are the heads.
// reads dy, x (rows, heads, head_dim), q_weight, k_weight (head_dim), rstd (rows, q_heads + kv_heads) f32; writes dx as dy.
// Sum of w * x: as rms_norm_backward's.
//! variant f32 f32 f32 f32 f32 f32 : -DT=f32
//! variant bf16 bf16 bf16 bf16 f32 bf16 : -DT=bf16
//! grid (p.rows + 7) / 8, p.q_heads + 2 * p.kv_heads
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/head_rms_norm_backward.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"

layout(push_constant) uniform Parameters { HeadRmsNormBackward p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer dy;
layout(binding = 1, rgba32ui) uniform readonly uimageBuffer x;
layout(binding = 2, rgba32ui) uniform readonly uimageBuffer q_weight;
layout(binding = 3, rgba32ui) uniform readonly uimageBuffer k_weight;
layout(binding = 4) readonly buffer Rstd { float rstd[]; };
layout(binding = 5) writeonly buffer Dx { uvec4 dx[]; };

Pack weighted(uint head, uint first, uint i) {
  Pack weight;
  if (head < p.q_heads) weight = LOAD(T, q_weight, i);
  else weight = LOAD(T, k_weight, i);
  return multiply(LOAD(T, dy, first + i), weight);
}

void main() {
  const uint row = gl_WorkGroupID.x * 8u + group(), head = gl_WorkGroupID.y, packs = p.head_dim / 8u;
  const uint normed = p.q_heads + p.kv_heads, first = (row * (normed + p.kv_heads) + head) * packs;
  if (row >= p.rows) return;
  if (head >= normed) {
    for (uint i = lane(); i < packs; i += 8u) STORE(T, dx, first + i, LOAD(T, dy, first + i));
    return;
  }
  Pack products = splat(0.0);
  for (uint i = lane(); i < packs; i += 8u) {
    products = add(products, multiply(weighted(head, first, i), LOAD(T, x, first + i)));
  }
  const float r = rstd[row * normed + head];
  precise const float slope = -(r * r * (sum_lanes(sum_of(products)) / float(p.head_dim)));
  for (uint i = lane(); i < packs; i += 8u) {
    STORE(T, dx, first + i, scale(add(weighted(head, first, i), scale(LOAD(T, x, first + i), slope)), r));
  }
}
