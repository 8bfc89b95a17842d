// loss_sum: see core/abi/loss_sum.h. One workgroup.
// reads losses (count); updates loss (1). Invocation i adds losses i, i + 64, ... in order; then a tree over the 64.
//! variant f32 f32 :
//! iterations p.count / 64 + 9
//! grid 1
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/loss_sum.h"
#include "shaders/common/tree.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { LossSum p; };
layout(binding = 0) readonly buffer Losses { float losses[]; };
layout(binding = 1) buffer Loss { float loss[]; };

void main() {
  precise float sum = 0.0;
  for (uint i = gl_LocalInvocationID.x; i < p.count; i += 64u) sum += losses[i];
  const float all = sum_workgroup(sum);
  if (gl_LocalInvocationID.x == 0u) loss[0] += all;
}
