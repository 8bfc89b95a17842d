// Whether shuffles reach the lanes that they name, also while the groups of a subgroup go different ways. backends/vulkan/probe.cpp runs it
// when a device is opened, and knows what has to stand in the 16 words that lane l of group g finds at 16 * (64 * workgroup + 8 g + l).
//! subgroups 8 64
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/common/lanes.glsl"
#include "shaders/common/unroll.glsl"

layout(binding = 0) buffer Found { uint found[]; };

#define FROM_LANE(k) found[at + 8u + uint(k)] = subgroupShuffle(own, uint(k));

void work() {
  const uint own = group() * 8u + lane(), at = 16u * (gl_WorkGroupID.x * 64u + own);
  atomicAdd(found[at], 1u);  // each place belongs to one invocation
  found[at + 1u] = xor_lane(own, 4u);
  found[at + 2u] = xor_lane(own, 2u);
  found[at + 3u] = xor_lane(own, 1u);
  found[at + 4u] = max_lanes(own);
  found[at + 5u] = uint(sum_lanes(float(own)));
  float sums = 0.0;
  for (uint turn = 0u; turn <= group(); ++turn) sums += sum_lanes(float(own + turn));
  found[at + 6u] = uint(sums);
  found[at + 7u] = gl_SubgroupSize;
  EACH8(FROM_LANE)
}
