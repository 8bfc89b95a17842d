// attention_delta: see core/abi/attention_delta.h. 8 lanes a query and head.
// reads dout, out; writes delta. Lane l adds elements l, l + 8, ... in order; then a butterfly over the lanes.
//! variant f32 f32 f32 : -DT=f32
//! variant bf16 bf16 f32 : -DT=bf16
//! grid (p.sequence_length + 7) / 8, p.q_heads, p.batch
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/attention_delta.h"
#include "shaders/common/element.glsl"
#include "shaders/common/lanes.glsl"

layout(push_constant) uniform Parameters { AttentionDelta p; };
layout(binding = 0) readonly buffer Dout { ELEMENT(T) dout[]; };
layout(binding = 1) readonly buffer Out { ELEMENT(T) out_[]; };
layout(binding = 2) writeonly buffer Delta { float delta[]; };

void main() {
  const uint t = gl_WorkGroupID.x * 8u + group(), head = gl_WorkGroupID.y, sequence = gl_WorkGroupID.z;
  if (t >= p.sequence_length) return;
  const uint first = ((sequence * p.sequence_length + t) * p.q_heads + head) * p.head_dim;
  precise float sum = 0.0;
  for (uint d = lane(); d < p.head_dim; d += 8u) sum += FROM_ELEMENT(T, dout[first + d]) * FROM_ELEMENT(T, out_[first + d]);
  sum = sum_lanes(sum);
  if (lane() == 0u) delta[(sequence * p.q_heads + head) * p.sequence_length + t] = sum;
}
