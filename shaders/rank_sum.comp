// rank_sum: see core/abi/rank_sum.h. One invocation per 4 elements, which take one Philox block. Operands of any size.
// reads parts (ranks, count), scalars, counter; updates g (count). Sums g, then the parts in the order of ranks.
//! variant f32 u32 i32 f32 : -DT=f32 -DG=f32
//! variant f32 u32 i32 bf16 : -DT=f32 -DG=bf16
//! variant bf16 u32 i32 f32 : -DT=bf16 -DG=f32
//! variant bf16 u32 i32 bf16 : -DT=bf16 -DG=bf16
//! iterations p.ranks + 16
//! grid std::min<uint64_t>(divide_up(p.count, 4 * 64), 256), divide_up(p.count / 4, 64 * 256)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/rank_sum.h"
#include "core/abi/step_scalars.h"
#include "shaders/common/quad.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { RankSum p; };
layout(binding = 0, QUAD_FORMAT(T)) uniform readonly QUAD_IMAGE(T) parts;
layout(binding = 1) readonly buffer Scalars { StepScalars scalars; };
layout(binding = 2) readonly buffer Counter { int counter[]; };
layout(binding = 3, QUAD_FORMAT(G)) uniform QUAD_IMAGE(G) g;

uvec4 random_words(uint i) {
  const StoredBlock at = stored_block(p.segments, first_block(p.segments, scalars.rank) + i);
  const uint stream = rank_sum_stream(p, counter[1], scalars.rank);
  const PhiloxWords w = philox(scalars.seed_low, scalars.seed_high, at.block, at.tensor, scalars.step, stream);
  return uvec4(w.word[0], w.word[1], w.word[2], w.word[3]);
}

void main() {
  const uint i = (gl_WorkGroupID.y * 256u + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x, quads = p.count / 4u;
  if (i >= quads) return;
  precise vec4 sum = vec4(0.0);
  if (p.accumulate != 0u) sum = QUAD_LOAD(G, g, i);
  for (uint r = 0u; r < p.ranks; ++r) sum = sum + QUAD_LOAD(T, parts, r * quads + i);
  QUAD_STORE_STOCHASTIC(G, g, i, sum, random_words(i));
}
