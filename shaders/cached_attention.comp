// cached_attention: see core/abi/cached_attention.h. 8 lanes a query head; keys one by one, in order (online softmax).
// reads qkv, position, cache; writes out (1, q_heads, head_dim).
//! variant f32 i32 f32 f32 : -DT=f32
//! variant bf16 i32 bf16 bf16 : -DT=bf16
//! subgroups 8 64
//! specialize 0 p.head_dim / 8
//! iterations p.capacity + 1ull
//! grid divide_up(p.q_heads, 8)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/cached_attention.h"
#include "shaders/common/element.glsl"
#include "shaders/common/lane_elements.glsl"

layout(push_constant) uniform Parameters { CachedAttention p; };
layout(binding = 0) readonly buffer Qkv { ELEMENT(T) qkv[]; };
layout(binding = 1) readonly buffer Position { int position; };
layout(binding = 2) readonly buffer Cache { ELEMENT(T) cache[]; };
layout(binding = 3) writeonly buffer Out { ELEMENT(T) out_[]; };

#define ZERO(j, from) mixed[from + j] = 0.0;
#define ADD_PRODUCT(j, from) \
  if (present(from + j)) dot += FROM_ELEMENT(T, qkv[q + element(from + j)]) * FROM_ELEMENT(T, cache[k + element(from + j)]);
#define MIX(j, from) \
  if (present(from + j)) mixed[from + j] = mixed[from + j] * old + weight * FROM_ELEMENT(T, cache[v + element(from + j)]);
#define STORE(j, from) \
  if (present(from + j)) out_[q + element(from + j)] = TO_ELEMENT(T, mixed[from + j] / sum);

void work() {
  const uint head = gl_WorkGroupID.x * 8u + group();
  if (head >= p.q_heads) return;
  const uint kv_head = head / (p.q_heads / p.kv_heads), q = head * p.head_dim;
  const uint keys = min(uint(position) + 1u, p.capacity);
  float mixed[32];
  EACH_ELEMENT(ZERO)
  float top = bits_float(0xff800000u), sum = 0.0;
  for (uint key = 0u; key < keys; ++key) {
    const uint k = (kv_head * p.capacity + key) * p.head_dim, v = ((p.kv_heads + kv_head) * p.capacity + key) * p.head_dim;
    precise float dot = 0.0;
    EACH_ELEMENT(ADD_PRODUCT)
    const float score = sum_lanes(dot) * p.scale, larger = score > top || score != score ? score : top;
    precise float old = exp_f32(top - larger), weight = exp_f32(score - larger);
    sum = sum * old + weight;
    EACH_ELEMENT(MIX)
    top = larger;
  }
  EACH_ELEMENT(STORE)
}
