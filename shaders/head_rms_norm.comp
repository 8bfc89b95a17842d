// head_rms_norm: see core/abi/head_rms_norm.h. 8 lanes a head of a row; workgroups in y are the heads.
// reads x (rows, heads, head_dim), q_weight, k_weight (head_dim); writes y as x, rstd (rows, q_heads + kv_heads) f32.
// Sum of squares: as rms_norm's.
//! variant f32 f32 f32 f32 f32 : -DT=f32
//! variant bf16 bf16 bf16 bf16 f32 : -DT=bf16
//! grid (p.rows + 7) / 8, p.q_heads + 2 * p.kv_heads
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/head_rms_norm.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"

layout(push_constant) uniform Parameters { HeadRmsNorm p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer x;
layout(binding = 1, rgba32ui) uniform readonly uimageBuffer q_weight;
layout(binding = 2, rgba32ui) uniform readonly uimageBuffer k_weight;
layout(binding = 3) writeonly buffer Y { uvec4 y[]; };
layout(binding = 4) writeonly buffer Rstd { float rstd[]; };

void main() {
  const uint row = gl_WorkGroupID.x * 8u + group(), head = gl_WorkGroupID.y, packs = p.head_dim / 8u;
  const uint normed = p.q_heads + p.kv_heads, first = (row * (normed + p.kv_heads) + head) * packs;
  if (row >= p.rows) return;
  if (head >= normed) {
    for (uint i = lane(); i < packs; i += 8u) STORE(T, y, first + i, LOAD(T, x, first + i));
    return;
  }
  Pack squares = splat(0.0);
  for (uint i = lane(); i < packs; i += 8u) {
    const Pack v = LOAD(T, x, first + i);
    squares = add(squares, multiply(v, v));
  }
  precise const float scale_of_head = 1.0 / sqrt(sum_lanes(sum_of(squares)) / float(p.head_dim) + p.epsilon);
  for (uint i = lane(); i < packs; i += 8u) {
    Pack weight;
    if (head < p.q_heads) weight = LOAD(T, q_weight, i);
    else weight = LOAD(T, k_weight, i);
    STORE(T, y, first + i, multiply(scale(LOAD(T, x, first + i), scale_of_head), weight));
  }
  if (lane() == 0u) rstd[row * normed + head] = scale_of_head;
}
