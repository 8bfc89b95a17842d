// add: see core/abi/add.h. reads a, b (count); writes y (count). No sums.
//! variant f32 f32 f32 : -DT=f32
//! variant bf16 bf16 bf16 : -DT=bf16
//! grid (p.count + 8191) / 8192 < 32768 ? (p.count + 8191) / 8192 : 32768, ((p.count + 8191) / 8192 + 32767) / 32768
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/add.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"
#include "shaders/common/flat.glsl"

layout(push_constant) uniform Parameters { Add p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer a;
layout(binding = 1, rgba32ui) uniform readonly uimageBuffer b;
layout(binding = 2) writeonly buffer Y { uvec4 y[]; };

void main() {
  for (uint turn = 0u; turn < kFlatTurns; ++turn) {
    const uint i = flat_pack(turn);
    if (i * 8u >= p.count) break;
    STORE(T, y, i, add(LOAD(T, a, i), LOAD(T, b, i)));
  }
}
