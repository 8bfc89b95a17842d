// head_rms_norm: see core/abi/head_rms_norm.h. 8 lanes a head.
// reads x (rows, heads, head_dim), q_weight, k_weight (head_dim); writes y (rows, heads, head_dim), rstd (rows, q_heads + kv_heads).
// Sum of squares: lane l adds packs l, l + 8, ... of 8 elements in order, each in the order of sum_of; then a butterfly over the lanes.
//! variant f32 f32 f32 f32 f32 : -DT=f32
//! variant bf16 bf16 bf16 bf16 f32 : -DT=bf16
//! subgroups 8 64
//! iterations 2 * (p.head_dim / 64 + 2)
//! grid divide_up(p.q_heads + 2 * p.kv_heads, 8), std::min(p.rows, 65535u), divide_up(p.rows, 65535)
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

void work() {
  const uint row = gl_WorkGroupID.z * 65535u + gl_WorkGroupID.y, head = gl_WorkGroupID.x * 8u + group();
  const uint normed = p.q_heads + p.kv_heads, heads = normed + p.kv_heads, packs = p.head_dim / 8u;
  if (row >= p.rows || head >= heads) return;
  const uint first = (row * heads + head) * packs;
  precise float sum = 0.0;
  for (uint i = lane(); i < packs; i += 8u) {
    const Pack v = LOAD(T, x, first + i);
    sum += sum_of(Pack(v.low * v.low, v.high * v.high));
  }
  precise float scale = 1.0 / sqrt(sum_lanes(sum) / float(p.head_dim) + p.epsilon);
  for (uint i = lane(); i < packs; i += 8u) {
    Pack v = LOAD(T, x, first + i);
    if (head < normed) {
      Pack w = LOAD(T, k_weight, i);
      if (head < p.q_heads) w = LOAD(T, q_weight, i);
      precise vec4 low = v.low * scale * w.low, high = v.high * scale * w.high;
      v = Pack(low, high);
    }
    STORE(T, y, first + i, v);
  }
  if (lane() == 0u && head < normed) rstd[row * normed + head] = scale;
}
