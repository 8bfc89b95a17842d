// rank_max: see core/abi/rank_max.h. One invocation per 4 words.
// reads parts (ranks, count); writes y (count).
//! variant u32 u32 :
//! iterations p.ranks + 1
//! grid std::min<uint64_t>(divide_up(p.count, 4 * 64), 256), divide_up(p.count / 4, 64 * 256)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/rank_max.h"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { RankMax p; };
layout(binding = 0, rgba32ui) uniform readonly uimageBuffer parts;
layout(binding = 1, rgba32ui) uniform writeonly uimageBuffer y;

void main() {
  const uint i = (gl_WorkGroupID.y * 256u + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x, words = p.count / 4u;
  if (i >= words) return;
  uvec4 largest = imageLoad(parts, int(i));
  for (uint r = 1u; r < p.ranks; ++r) largest = max(largest, imageLoad(parts, int(r * words + i)));
  imageStore(y, int(i), largest);
}
