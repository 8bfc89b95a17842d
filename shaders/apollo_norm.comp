// apollo_norm: see core/abi/apollo_norm.h, the order of its sums too. One workgroup of 64 a block of 16384 elements.
// reads x (rows, columns), factors; writes partials.
//! variant f32 f32 f32 : -DT=f32 -DFACTORS
//! variant f32 - f32 : -DT=f32
//! variant bf16 f32 f32 : -DT=bf16 -DFACTORS
//! variant bf16 - f32 : -DT=bf16
//! iterations 64 * 12 + 30
//! grid std::min<uint64_t>(divide_up(p.count, kApolloNormBlock), 32768), divide_up(divide_up(p.count, kApolloNormBlock), 32768)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/apollo_norm.h"
#include "core/abi/numeric.h"
#include "shaders/common/channel.glsl"
#include "shaders/common/quad.glsl"
#include "shaders/common/tree.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { ApolloNorm p; };
layout(binding = 0, QUAD_FORMAT(T)) uniform readonly QUAD_IMAGE(T) x;
#ifdef FACTORS
layout(binding = 1) readonly buffer Factors { float factors[]; };
#endif
layout(binding = 2) writeonly buffer Partials { float partials[]; };

void main() {
  const uint block = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x, blocks = (p.count - 1u) / kApolloNormBlock + 1u;
  if (block >= blocks) return;
  const uint first = block * (kApolloNormBlock / 4u), end = min(first + kApolloNormBlock / 4u, p.count / 4u);
  precise float sum = 0.0;
  for (uint i = first + gl_LocalInvocationID.x; i < end; i += 64u) {
    precise vec4 v = QUAD_LOAD(T, x, i);
#ifdef FACTORS
    v = CHANNEL_FACTORS(factors, i) * v;
#endif
    v = v * v;
    sum = sum + ((v.x + v.y) + (v.z + v.w));
  }
  const float all = sum_workgroup(sum);
  if (gl_LocalInvocationID.x == 0u) partials[block] = all;
}
