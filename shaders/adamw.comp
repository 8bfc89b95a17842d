// adamw: see core/abi/adamw.h. One invocation 4 elements: one Philox block a stored operand.
// reads gradient (count), update; updates p, m, v (count) and master. 4 elements are a texel: rgba32f, or 4 bf16 in rg32ui.
//! variant f32 u32 f32 f32 f32 - : -DG=f32 -DP=f32 -DM=f32 -DV=f32
//! variant bf16 u32 bf16 bf16 bf16 - : -DG=bf16 -DP=bf16 -DM=bf16 -DV=bf16
//! variant bf16 u32 bf16 bf16 bf16 f32 : -DG=bf16 -DP=bf16 -DM=bf16 -DV=bf16 -DMASTER
//! variant bf16 u32 bf16 bf16 f32 - : -DG=bf16 -DP=bf16 -DM=bf16 -DV=f32
//! variant bf16 u32 bf16 bf16 f32 f32 : -DG=bf16 -DP=bf16 -DM=bf16 -DV=f32 -DMASTER
//! variant bf16 u32 bf16 f32 bf16 - : -DG=bf16 -DP=bf16 -DM=f32 -DV=bf16
//! variant bf16 u32 bf16 f32 bf16 f32 : -DG=bf16 -DP=bf16 -DM=f32 -DV=bf16 -DMASTER
//! variant bf16 u32 bf16 f32 f32 - : -DG=bf16 -DP=bf16 -DM=f32 -DV=f32
//! variant bf16 u32 bf16 f32 f32 f32 : -DG=bf16 -DP=bf16 -DM=f32 -DV=f32 -DMASTER
//! variant f32 u32 bf16 bf16 bf16 - : -DG=f32 -DP=bf16 -DM=bf16 -DV=bf16
//! variant f32 u32 bf16 bf16 bf16 f32 : -DG=f32 -DP=bf16 -DM=bf16 -DV=bf16 -DMASTER
//! variant f32 u32 bf16 bf16 f32 - : -DG=f32 -DP=bf16 -DM=bf16 -DV=f32
//! variant f32 u32 bf16 bf16 f32 f32 : -DG=f32 -DP=bf16 -DM=bf16 -DV=f32 -DMASTER
//! variant f32 u32 bf16 f32 bf16 - : -DG=f32 -DP=bf16 -DM=f32 -DV=bf16
//! variant f32 u32 bf16 f32 bf16 f32 : -DG=f32 -DP=bf16 -DM=f32 -DV=bf16 -DMASTER
//! variant f32 u32 bf16 f32 f32 - : -DG=f32 -DP=bf16 -DM=f32 -DV=f32
//! variant f32 u32 bf16 f32 f32 f32 : -DG=f32 -DP=bf16 -DM=f32 -DV=f32 -DMASTER
//! grid 256, ((p.count + 3) / 4 + 64 * 256 - 1) / (64 * 256)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/adamw.h"
#include "core/abi/numeric.h"
#include "core/abi/prepare_update.h"
#include "shaders/common/quad.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { AdamW p; };
layout(binding = 0, QUAD_FORMAT(G)) uniform readonly QUAD_IMAGE(G) gradient;
layout(binding = 1) readonly buffer Update { UpdateScalars update; };
layout(binding = 2, QUAD_FORMAT(P)) uniform QUAD_IMAGE(P) parameter;
layout(binding = 3, QUAD_FORMAT(M)) uniform QUAD_IMAGE(M) first;
layout(binding = 4, QUAD_FORMAT(V)) uniform QUAD_IMAGE(V) second;
#ifdef MASTER
layout(binding = 5, rgba32f) uniform imageBuffer master;
#endif

// the random words of elements 4 i ... 4 i + 3 of the stored tensor; element e of the operand need not be a multiple of 4 in its segment
uint random_word(uint e, uint stream) {
  uint segment = 0u;
  for (uint s = 1u; s < p.segments; ++s) segment = e >= p.segment_begin[s] ? s : segment;
  const uint local = e - p.segment_begin[segment];
  return philox(update.seed_low, update.seed_high, local / 4u, p.segment_tensor[segment], update.step, stream).word[local & 3u];
}

uvec4 random_words(uint i, uint stream) {
  return uvec4(random_word(4u * i, stream), random_word(4u * i + 1u, stream), random_word(4u * i + 2u, stream), random_word(4u * i + 3u, stream));
}

void main() {
  const uint i = (gl_WorkGroupID.y * 256u + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x;
  if (4u * i >= p.count || update.skipped != 0u) return;
  precise vec4 g = QUAD_LOAD(G, gradient, i) * update.coefficient;
#ifdef MASTER
  precise vec4 w = imageLoad(master, int(i));
#else
  precise vec4 w = QUAD_LOAD(P, parameter, i);
#endif
  w = w - update.learning_rate * p.decay * w;
  precise vec4 m = p.beta1 * QUAD_LOAD(M, first, i) + p.one_minus_beta1 * g;
  precise vec4 v = p.beta2 * QUAD_LOAD(V, second, i) + p.one_minus_beta2 * g * g;
  precise vec4 denominator = sqrt(v) / update.correction2_root + p.epsilon;
  w = w - update.learning_rate * (m / update.correction1) / denominator;

  QUAD_STORE_STOCHASTIC(M, first, i, m, random_words(i, 1u));
  QUAD_STORE_STOCHASTIC(V, second, i, v, random_words(i, 2u));
#ifdef MASTER
  imageStore(master, int(i), w);
  QUAD_STORE(P, parameter, i, w);
#else
  QUAD_STORE_STOCHASTIC(P, parameter, i, w, random_words(i, 0u));
#endif
}
