// head_rms_norm_weight_gradient: see core/abi/head_rms_norm_weight_gradient.h. A workgroup 64 columns of q's (y = 0) or k's (y = 1) weight.
// reads dy, x (rows, heads, head_dim), rstd (rows, q_heads + kv_heads); updates q_g, k_g (head_dim).
// Rows are (row, head) pairs, heads fastest; the order of the sum: shaders/common/column_sum.glsl.
//! variant f32 f32 f32 f32 f32 : -DT=f32 -DG=f32
//! variant bf16 bf16 f32 bf16 bf16 : -DT=bf16 -DG=bf16
//! variant bf16 bf16 f32 f32 f32 : -DT=bf16 -DG=f32
//! subgroups 8 64
//! iterations uint64_t(p.rows) * std::max(p.q_heads, p.kv_heads) / 8 + 11
//! grid divide_up(p.head_dim, 64), 2
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/head_rms_norm_weight_gradient.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"
#include "shaders/common/texel.glsl"
#include "shaders/common/column_sum.glsl"

layout(push_constant) uniform Parameters { HeadRmsNormWeightGradient p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer dy;
layout(binding = 1, rgba32ui) uniform readonly uimageBuffer x;
layout(binding = 2) readonly buffer Rstd { float rstd[]; };
layout(binding = 3, rgba32ui) uniform uimageBuffer q_g;
layout(binding = 4, rgba32ui) uniform uimageBuffer k_g;

void work() {
  const bool keys = gl_WorkGroupID.y == 1u;
  const uint normed = p.q_heads + p.kv_heads, heads = normed + p.kv_heads, packs = p.head_dim / 8u;
  const uint first_head = keys ? p.q_heads : 0u, own_heads = keys ? p.kv_heads : p.q_heads, i = min(column_pack(), packs - 1u);
  precise vec4 low = vec4(0.0), high = vec4(0.0);
  for (uint r = group(); r < p.rows * own_heads; r += 8u) {
    const uint row = r / own_heads, head = first_head + r % own_heads;
    const Pack d = LOAD(T, dy, (row * heads + head) * packs + i), v = LOAD(T, x, (row * heads + head) * packs + i);
    const float scale = rstd[row * normed + head];
    low += d.low * v.low * scale;
    high += d.high * v.high * scale;
  }
  const Pack sum = sum_groups(Pack(low, high));
  if (!last_group() || column_pack() >= packs) return;
  if (keys) {
    const Pack old = LOAD(G, k_g, i);
    STORE_TEXEL(G, k_g, i, Pack(old.low + sum.low, old.high + sum.high));
  } else {
    const Pack old = LOAD(G, q_g, i);
    STORE_TEXEL(G, q_g, i, Pack(old.low + sum.low, old.high + sum.high));
  }
}
