// cache_append: see core/abi/cache_append.h. One invocation an element.
// reads qkv (1, heads, head_dim), position; updates cache (2, kv_heads, capacity, head_dim).
//! variant f32 i32 f32 : -DT=f32
//! variant bf16 i32 bf16 : -DT=bf16
//! grid divide_up(2 * p.kv_heads * p.head_dim, 64)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/cache_append.h"
#include "shaders/common/element.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { CacheAppend p; };
layout(binding = 0) readonly buffer Qkv { ELEMENT(T) qkv[]; };
layout(binding = 1) readonly buffer Position { int position; };
layout(binding = 2) buffer Cache { ELEMENT(T) cache[]; };

void main() {
  const uint i = gl_GlobalInvocationID.x, at = uint(position);
  if (i >= 2u * p.kv_heads * p.head_dim || at >= p.capacity) return;
  const uint head = i / p.head_dim, d = i % p.head_dim;  // k heads, then v heads
  cache[(head * p.capacity + at) * p.head_dim + d] = qkv[p.q_heads * p.head_dim + i];
}
