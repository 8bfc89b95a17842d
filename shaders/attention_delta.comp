// attention_delta: see core/abi/attention_delta.h. An invocation a query and head.
// reads dout, out; writes delta. Elements of head_dim in order, as the products of values and dout that it is subtracted from are
// summed: so the difference is 0 where a query sees nothing but itself.
//! variant f32 f32 f32 : -DT=f32
//! variant bf16 bf16 f32 : -DT=bf16
//! iterations p.head_dim / 8 * 11 + 1
//! grid divide_up(p.sequence_length, 64), p.q_heads, p.batch
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/attention_delta.h"
#include "shaders/common/pack.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { AttentionDelta p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer dout;
layout(binding = 1, rgba32ui) uniform readonly uimageBuffer out_;
layout(binding = 2) writeonly buffer Delta { float delta[]; };

void main() {
  const uint t = gl_GlobalInvocationID.x, head = gl_WorkGroupID.y, sequence = gl_WorkGroupID.z, packs = p.head_dim / 8u;
  if (t >= p.sequence_length) return;
  const uint first = ((sequence * p.sequence_length + t) * p.q_heads + head) * packs;
  precise float sum = 0.0;
  for (uint i = 0u; i < packs; ++i) {
    const Pack products = multiply(LOAD(T, dout, first + i), LOAD(T, out_, first + i));
    for (uint e = 0u; e < 4u; ++e) sum += products.low[e];
    for (uint e = 0u; e < 4u; ++e) sum += products.high[e];
  }
  delta[(sequence * p.q_heads + head) * p.sequence_length + t] = sum;
}
