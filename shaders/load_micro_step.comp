// load_micro_step: see core/abi/load_micro_step.h. One invocation an element.
// reads inputs (2, micro_steps, count), counter (16); writes x (count).
//! variant i32 i32 i32 :
//! grid divide_up(p.count, 64)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/load_micro_step.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { LoadMicroStep p; };
layout(binding = 0) readonly buffer Inputs { int inputs[]; };
layout(binding = 1) readonly buffer Counter { int counter[]; };
layout(binding = 2) writeonly buffer X { int x[]; };

void main() {
  const uint i = gl_GlobalInvocationID.x, slot = uint(counter[0] - 1) & 1u;
  if (i < p.count) x[i] = inputs[(slot * p.micro_steps + uint(counter[1])) * p.count + i];
}
