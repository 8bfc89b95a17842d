// apollo_limit: see core/abi/apollo_limit.h, the order of its sums too. One workgroup of 64.
// reads partials, sums (2, channels), update; writes factor (1); updates norm.
//! variant f32 f32 u32 f32 f32 : -DSUMS
//! variant f32 - u32 f32 f32 :
//! iterations p.partials / 64 + p.channels / 32 + 60
//! grid 1
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/apollo_limit.h"
#include "core/abi/adamw_corrections.h"
#include "shaders/common/tree.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { ApolloLimit p; };
layout(binding = 0) readonly buffer Partials { float partials[]; };
#ifdef SUMS
layout(binding = 1) readonly buffer Sums { float sums[]; };
#endif
layout(binding = 2) readonly buffer Update { UpdateScalars update; };
layout(binding = 3) writeonly buffer Factor { float factor[]; };
layout(binding = 4) buffer Norm { float norm[]; };

// the root of a sum over the workgroup, which is free for another one after it
float root_of_sum(float own) {
  const float all = sum_workgroup(own);
  barrier();
  return sqrt(all);
}

#ifdef SUMS
float root_of_sums(uint first) {
  precise float sum = 0.0;
  for (uint i = gl_LocalInvocationID.x; i < p.channels; i += 64u) sum = sum + sums[first + i];
  return root_of_sum(sum);
}
#endif

void main() {
  precise float sum = 0.0, f = 1.0;
  for (uint i = gl_LocalInvocationID.x; i < p.partials; i += 64u) sum = sum + partials[i];
  const float root = root_of_sum(sum);
#ifdef SUMS
  const float n = root_of_sums(0u), g = root_of_sums(p.channels);
  f = n / (g + 1e-8);
#endif
  if (gl_LocalInvocationID.x != 0u) return;
  precise float own = f * (update.coefficient * root);
  const float last = norm[p.at];
  precise float most = 1.01 * last;
  precise float limit = most / own;
  const bool limited = last > 0.0 && own > most;
  precise float all = (f * update.coefficient) * (limited ? limit : 1.0);
  factor[0] = update.skipped != 0u ? 0.0 : all;
  if (update.skipped == 0u) norm[p.at] = limited ? most : own;
}
