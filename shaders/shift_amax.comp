// shift_amax: see core/abi/shift_amax.h. An invocation a slot. updates amax (64 slots) and counts (2). Sums are of integers.
//! variant u32 u32 :
//! grid divide_up(p.slots, 64)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/shift_amax.h"
#include "core/abi/amax.h"
#include "core/abi/numeric.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { ShiftAmax p; };
layout(binding = 0) buffer AmaxWords { uint amax[]; };
layout(binding = 1) buffer Counts { uint counts[2]; };

void main() {
  if (gl_GlobalInvocationID.x >= p.slots) return;
  const uint at = gl_GlobalInvocationID.x * kAmaxWords;
  if (gl_GlobalInvocationID.x >= p.slots - p.guesses && amax[at] != 0u) {
    atomicAdd(counts[0], 1u);
    if (!same_scale(amax[at], amax[at + kAmaxGuess])) atomicAdd(counts[1], 1u);
  }
  amax[at + kAmaxGuess] = next_guess(amax[at + kAmaxGuess], amax[at]);
  amax[at] = 0u;
}
