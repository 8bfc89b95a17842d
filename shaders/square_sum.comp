// square_sum: see core/abi/square_sum.h. One workgroup a block of 65536 elements; workgroups past the last block write a zero.
// reads x (count); writes partials. Invocation i adds packs i, i + 64, ... of 8 elements in order; then a tree over the 64.
//! variant f32 f32 : -DT=f32
//! variant bf16 f32 : -DT=bf16
//! iterations kSquareSumBlock / 512 + 8
//! grid 64, divide_up(divide_up(p.count, kSquareSumBlock), 64)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/square_sum.h"
#include "shaders/common/pack.glsl"
#include "shaders/common/tree.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { SquareSum p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer x;
layout(binding = 1) writeonly buffer Partials { float partials[]; };

void main() {
  const uint block = gl_WorkGroupID.y * 64u + gl_WorkGroupID.x, packs = kSquareSumBlock / 8u;
  if (block * kSquareSumBlock >= p.count) {  // without the barriers, which software takes long for
    if (gl_LocalInvocationID.x == 0u) partials[block] = 0.0;
    return;
  }
  precise float sum = 0.0;
  for (uint i = gl_LocalInvocationID.x; i < packs; i += 64u) {
    const uint at = block * packs + i;
    const Pack v = without_tail(LOAD(T, x, p.first / 8u + at), at, p.count);
    sum += sum_of(Pack(v.low * v.low, v.high * v.high));
  }
  const float all = sum_workgroup(sum);
  if (gl_LocalInvocationID.x == 0u) partials[block] = all;
}
