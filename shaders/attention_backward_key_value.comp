// attention_backward_key_value: see core/abi/attention_backward.h. Any device: 8 lanes a key; its group's query heads in order, and for each
// the queries from the key on, in order.
// reads qkv, positions, dout, lse, delta; writes the k and v parts of dqkv.
//! variant f32 i32 f32 f32 f32 f32 : -DT=f32
//! variant bf16 i32 bf16 f32 f32 bf16 : -DT=bf16
//! subgroups 8 64
//! grid (p.sequence_length + 7) / 8, p.kv_heads, p.batch
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/attention_backward.h"
#include "shaders/common/element.glsl"
#include "shaders/common/lanes.glsl"

layout(push_constant) uniform Parameters { AttentionBackward p; };
#include "shaders/common/attention_backward.glsl"

void work() {
  const uint t = gl_WorkGroupID.x * 8u + group(), kv_head = gl_WorkGroupID.y, sequence = gl_WorkGroupID.z;
  if (t >= p.sequence_length) return;
  const uint key = sequence * p.sequence_length + t, heads = p.q_heads / p.kv_heads;
  float dk[kLaneElements], dv[kLaneElements];
  for (uint i = 0u; i < kLaneElements; ++i) dk[i] = dv[i] = 0.0;
  for (uint head = kv_head * heads; head < (kv_head + 1u) * heads; ++head)
    for (uint query = t; query < p.sequence_length; ++query) {
      const uint row = sequence * p.sequence_length + query;
      if (query - t > uint(positions[row])) break;  // a later document
      const Weights w = weights_of(sequence, row, query, head, key, kv_head);
      for (uint d = lane(), i = 0u; d < p.head_dim; d += 8u, ++i) {
        dk[i] += w.ds * FROM_ELEMENT(T, qkv[q_at(row, head) + d]);
        dv[i] += w.p * FROM_ELEMENT(T, dout[out_at(row, head) + d]);
      }
    }
  for (uint d = lane(), i = 0u; d < p.head_dim; d += 8u, ++i) {
    dqkv[k_at(key, kv_head) + d] = TO_ELEMENT(T, dk[i] * p.scale);
    dqkv[v_at(key, kv_head) + d] = TO_ELEMENT(T, dv[i]);
  }
}
