// head_rms_norm_backward: see core/abi/head_rms_norm_backward.h. 8 lanes a head.
// reads dy, x (rows, heads, head_dim), q_weight, k_weight (head_dim), rstd (rows, q_heads + kv_heads); writes dx (rows, heads, head_dim).
// The mean sums as head_rms_norm does.
//! variant f32 f32 f32 f32 f32 f32 : -DT=f32
//! variant bf16 bf16 bf16 bf16 f32 bf16 : -DT=bf16
//! subgroups 8 64
//! iterations 2 * (p.head_dim / 64 + 2)
//! grid divide_up(p.q_heads + 2 * p.kv_heads, 8), std::min(p.rows, 65535u), divide_up(p.rows, 65535)
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

Pack weighted(uint head, uint first, uint i) {  // dy * weight
  Pack w = LOAD(T, k_weight, i);
  if (head < p.q_heads) w = LOAD(T, q_weight, i);
  const Pack d = LOAD(T, dy, first + i);
  precise vec4 low = d.low * w.low, high = d.high * w.high;
  return Pack(low, high);
}

void work() {
  const uint row = gl_WorkGroupID.z * 65535u + gl_WorkGroupID.y, head = gl_WorkGroupID.x * 8u + group();
  const uint normed = p.q_heads + p.kv_heads, heads = normed + p.kv_heads, packs = p.head_dim / 8u;
  if (row >= p.rows || head >= heads) return;
  const uint first = (row * heads + head) * packs;
  if (head >= normed) {
    for (uint i = lane(); i < packs; i += 8u) {
      const Pack v = LOAD(T, dy, first + i);
      STORE(T, dx, first + i, v);
    }
    return;
  }
  const float scale = rstd[row * normed + head];
  precise float sum = 0.0;
  for (uint i = lane(); i < packs; i += 8u) {
    const Pack w = weighted(head, first, i), v = LOAD(T, x, first + i);
    precise vec4 low = w.low * v.low, high = w.high * v.high;
    sum += sum_of(Pack(low, high));
  }
  precise float mean = sum_lanes(sum) / float(p.head_dim) * scale * scale;
  for (uint i = lane(); i < packs; i += 8u) {
    const Pack w = weighted(head, first, i), v = LOAD(T, x, first + i);
    precise vec4 low = scale * (w.low - v.low * mean), high = scale * (w.high - v.high * mean);
    STORE(T, dx, first + i, Pack(low, high));
  }
}
