// begin_step: see core/abi/begin_step.h. One invocation a word.
// reads inputs (2, words); updates counter; writes scalars (words).
//! variant u32 i32 u32 :
//! grid 1
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/begin_step.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { BeginStep p; };
layout(binding = 0) readonly buffer Inputs { uint inputs[]; };
layout(binding = 1) buffer Counter { int counter[]; };
layout(binding = 2) writeonly buffer Scalars { uint scalars[]; };

void main() {
  const uint i = gl_LocalInvocationID.x, begins = uint(counter[0]);
  barrier();  // all have read the counter
  if (i < p.words) scalars[i] = inputs[(begins & 1u) * p.words + i];
  if (i == 0u) {
    counter[0] = int(begins + 1u);
    counter[1] = -1;
  }
}
