// add: see core/abi/add.h. One invocation a pack of 8 elements.
// reads a, b (count); writes y (count).
//! variant f32 f32 f32 : -DT=f32
//! variant bf16 bf16 bf16 : -DT=bf16
//! grid std::min<uint64_t>(divide_up(p.count, 8 * 64), 256), divide_up(divide_up(p.count, 8), 64 * 256)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/add.h"
#include "shaders/common/pack.glsl"
#include "shaders/common/texel.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { Add p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer a;
layout(binding = 1, rgba32ui) uniform readonly uimageBuffer b;
layout(binding = 2, rgba32ui) uniform writeonly uimageBuffer y;

void main() {
  const uint i = (gl_WorkGroupID.y * 256u + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x;
  if (8u * i >= p.count) return;
  const Pack v = LOAD(T, a, i), w = LOAD(T, b, i);
  STORE_TEXEL(T, y, i, Pack(v.low + w.low, v.high + w.high));
}
