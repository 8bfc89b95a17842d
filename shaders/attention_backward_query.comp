// attention_backward_query: see core/abi/attention_backward.h. Any device: 8 lanes a query, keys one by one, in order.
// reads qkv, positions, dout, lse, delta; writes the q part of dqkv.
//! variant f32 i32 f32 f32 f32 f32 : -DT=f32
//! variant bf16 i32 bf16 f32 f32 bf16 : -DT=bf16
//! subgroups 8 64
//! specialize 0 p.head_dim / 8
//! iterations p.sequence_length + 1ull
//! grid divide_up(p.sequence_length, 8), p.q_heads, p.batch
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/attention_backward.h"
#include "shaders/common/element.glsl"
#include "shaders/common/lane_elements.glsl"

layout(push_constant) uniform Parameters { AttentionBackward p; };
#include "shaders/common/attention_backward.glsl"

#define ZERO(j, from) dq[from + j] = 0.0;
#define ADD(j, from) \
  if (present(from + j)) dq[from + j] += w.ds * FROM_ELEMENT(T, qkv[k_at(key, kv_head) + element(from + j)]);
#define STORE(j, from) \
  if (present(from + j)) dqkv[q_at(row, head) + element(from + j)] = TO_ELEMENT(T, dq[from + j] * p.scale);

void work() {
  const uint t = gl_WorkGroupID.x * 8u + group(), head = gl_WorkGroupID.y, sequence = gl_WorkGroupID.z;
  if (t >= p.sequence_length) return;
  const uint row = sequence * p.sequence_length + t, kv_head = head / (p.q_heads / p.kv_heads);
  float dq[32];
  EACH_ELEMENT(ZERO)
  for (uint key = row - min(t, uint(positions[row])); key <= row; ++key) {
    const Weights w = weights_of(sequence, row, t, head, key, kv_head);
    EACH_ELEMENT(ADD)
  }
  EACH_ELEMENT(STORE)
}
