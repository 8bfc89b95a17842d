// shift_amax: see core/abi/shift_amax.h. An invocation a slot. updates amax (64 slots). No sums.
//! variant u32 :
//! grid divide_up(p.slots, 64)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/shift_amax.h"
#include "core/abi/amax.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { ShiftAmax p; };
layout(binding = 0) buffer AmaxWords { uint amax[]; };

void main() {
  if (gl_GlobalInvocationID.x >= p.slots) return;
  const uint at = gl_GlobalInvocationID.x * kAmaxWords;
  amax[at + kAmaxGuess] = amax[at];
  amax[at] = 0u;
}
