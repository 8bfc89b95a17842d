// amax: see core/abi/amax.h. reads x (count); raises amax (64).
//! variant f32 u32 : -DT=f32 -DAMAX
//! variant bf16 u32 : -DT=bf16 -DAMAX
//! subgroups 8 64
//! iterations 18
//! grid std::min<uint64_t>(divide_up(p.count, 8192), 32768), divide_up(divide_up(p.count, 8192), 32768)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/amax.h"
#include "shaders/common/lanes.glsl"
#include "shaders/common/pack.glsl"
#include "shaders/common/flat.glsl"

layout(push_constant) uniform Parameters { Amax p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer x;
AMAX_OPERAND(1)

void work() {
  uint largest = 0u;
  for (uint turn = 0u; turn < kFlatTurns; ++turn) {
    const uint i = flat_pack(turn);
    if (i * 8u >= p.count) break;
    largest = max(largest, amax_of(without_tail(LOAD(T, x, i), i, p.count)));
  }
  raise_amax(largest);
}
