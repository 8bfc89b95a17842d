// attention_backward_key_value: see core/abi/attention_backward.h. Any device: 8 lanes a key; its group's query heads in order, and for each
// the queries from the key on, in order.
// reads qkv, positions, dout, lse, delta; writes the k and v parts of dqkv.
//! variant f32 i32 f32 f32 f32 f32 : -DT=f32
//! variant bf16 i32 bf16 f32 f32 bf16 : -DT=bf16
//! subgroups 8 64
//! specialize 0 p.head_dim / 8
//! iterations p.q_heads / p.kv_heads * (p.sequence_length + 2ull) + 1
//! grid divide_up(p.sequence_length, 8), p.kv_heads, p.batch
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/attention_backward.h"
#include "shaders/common/element.glsl"
#include "shaders/common/lane_elements.glsl"

layout(push_constant) uniform Parameters { AttentionBackward p; };
#include "shaders/common/attention_backward.glsl"

#define ZERO(j, from) dk[from + j] = dv[from + j] = 0.0;
#define ADD(j, from)                                                                                   \
  if (present(from + j)) {                                                                             \
    dk[from + j] += w.ds * FROM_ELEMENT(T, qkv[q_at(row, head) + element(from + j)]);                  \
    dv[from + j] += w.p * FROM_ELEMENT(T, dout[out_at(row, head) + element(from + j)]);                \
  }
#define STORE(j, from)                                                                                 \
  if (present(from + j)) {                                                                             \
    dqkv[k_at(key, kv_head) + element(from + j)] = TO_ELEMENT(T, dk[from + j] * p.scale);              \
    dqkv[v_at(key, kv_head) + element(from + j)] = TO_ELEMENT(T, dv[from + j]);                        \
  }

void work() {
  const uint t = gl_WorkGroupID.x * 8u + group(), kv_head = gl_WorkGroupID.y, sequence = gl_WorkGroupID.z;
  if (t >= p.sequence_length) return;
  const uint key = sequence * p.sequence_length + t, heads = p.q_heads / p.kv_heads;
  float dk[32], dv[32];
  EACH_ELEMENT(ZERO)
  for (uint head = kv_head * heads; head < (kv_head + 1u) * heads; ++head)
    for (uint query = t; query < p.sequence_length; ++query) {
      const uint row = sequence * p.sequence_length + query;
      if (query - t > uint(positions[row])) break;  // a later document
      const Weights w = weights_of(sequence, row, query, head, key, kv_head);
      EACH_ELEMENT(ADD)
    }
  EACH_ELEMENT(STORE)
}
