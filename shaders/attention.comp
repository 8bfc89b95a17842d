// attention: see core/abi/attention.h. Any device: 8 lanes a query, head_dim split over them; keys one by one, in order (online softmax).
// reads qkv, positions; writes out, lse.
//! variant f32 i32 f32 f32 : -DT=f32
//! variant bf16 i32 bf16 f32 : -DT=bf16
//! subgroups 8 64
//! specialize 0 p.head_dim / 8
//! iterations p.sequence_length + 1ull
//! grid divide_up(p.sequence_length, 8), p.q_heads, p.batch
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/attention.h"
#include "shaders/common/element.glsl"
#include "shaders/common/lane_elements.glsl"

layout(push_constant) uniform Parameters { Attention p; };
layout(binding = 0) readonly buffer Qkv { ELEMENT(T) qkv[]; };
layout(binding = 1) readonly buffer Positions { int positions[]; };
layout(binding = 2) writeonly buffer Out { ELEMENT(T) out_[]; };
layout(binding = 3) writeonly buffer Lse { float lse[]; };
#include "shaders/common/attention.glsl"

#define ZERO(j, from) mixed[from + j] = 0.0;
#define ADD_PRODUCT(j, from) \
  if (present(from + j)) dot += FROM_ELEMENT(T, qkv[q + element(from + j)]) * FROM_ELEMENT(T, qkv[k + element(from + j)]);
#define MIX(j, from) \
  if (present(from + j)) mixed[from + j] = mixed[from + j] * old + weight * FROM_ELEMENT(T, qkv[v + element(from + j)]);
#define STORE(j, from) \
  if (present(from + j)) out_[out_at(row, head) + element(from + j)] = TO_ELEMENT(T, mixed[from + j] / sum);

void work() {
  const uint t = gl_WorkGroupID.x * 8u + group(), head = gl_WorkGroupID.y, sequence = gl_WorkGroupID.z;
  if (t >= p.sequence_length) return;
  const uint row = sequence * p.sequence_length + t, kv_head = head / (p.q_heads / p.kv_heads), q = q_at(row, head);
  float mixed[32];
  EACH_ELEMENT(ZERO)
  float top = bits_float(0xff800000u), sum = 0.0;
  for (uint key = row - min(t, uint(positions[row])); key <= row; ++key) {
    const uint k = k_at(key, kv_head), v = v_at(key, kv_head);
    precise float dot = 0.0;
    EACH_ELEMENT(ADD_PRODUCT)
    const float score = sum_lanes(dot) * p.scale, larger = score > top || score != score ? score : top;
    precise float old = exp_f32(top - larger), weight = exp_f32(score - larger);
    sum = sum * old + weight;
    EACH_ELEMENT(MIX)
    top = larger;
  }
  EACH_ELEMENT(STORE)
  if (lane() == 0u) lse[lse_at(sequence, head, t)] = top + log_f32(sum);
}
