// sgd: see core/abi/sgd.h. One invocation 4 elements: one Philox block for p.
// reads gradient (count), update; updates p (count) and master. Operands of any size.
//! variant f32 u32 f32 - : -DG=f32 -DP=f32
//! variant bf16 u32 bf16 - : -DG=bf16 -DP=bf16
//! variant bf16 u32 bf16 f32 : -DG=bf16 -DP=bf16 -DMASTER
//! variant f32 u32 bf16 - : -DG=f32 -DP=bf16
//! variant f32 u32 bf16 f32 : -DG=f32 -DP=bf16 -DMASTER
//! iterations 300
//! grid std::min<uint64_t>(divide_up(p.count, 4 * 64), 256), divide_up(divide_up(p.count, 4), 64 * 256)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/sgd.h"
#include "core/abi/numeric.h"
#include "core/abi/adamw_corrections.h"
#include "core/abi/step_scalars.h"
#include "shaders/common/quad.glsl"
#include "shaders/common/update_words.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { Sgd p; };
layout(binding = 0, QUAD_FORMAT(G)) uniform readonly QUAD_IMAGE(G) gradient;
#ifdef MASTER
layout(binding = 2, QUAD_FORMAT(P)) uniform writeonly QUAD_IMAGE(P) parameter;
layout(binding = 3, rgba32f) uniform imageBuffer master;
#else
layout(binding = 2, QUAD_FORMAT(P)) uniform QUAD_IMAGE(P) parameter;
#endif

void main() {
  const uint i = (gl_WorkGroupID.y * 256u + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x;
  if (4u * i >= p.count) return;
  const uint block = first_block(p.segments, update_words[8]) + i;
  const UpdateScalars update = words_of_update(p.by_segment, p.segments, block);
  if (update.skipped != 0u) return;
  precise vec4 g = QUAD_LOAD(G, gradient, i) * update.coefficient;
#ifdef MASTER
  precise vec4 w = imageLoad(master, int(i));
#else
  precise vec4 w = QUAD_LOAD(P, parameter, i);
#endif
  w = w - update.learning_rate * p.decay * w;
  w = w - update.learning_rate * g;
#ifdef MASTER
  imageStore(master, int(i), w);
  QUAD_STORE(P, parameter, i, w);
#else
  const StoredBlock at = stored_block(p.segments, block);
  const PhiloxWords words = philox(update.seed_low, update.seed_high, at.block, at.tensor, update.step, 0u);
  QUAD_STORE_STOCHASTIC(P, parameter, i, w, uvec4(words.word[0], words.word[1], words.word[2], words.word[3]));
#endif
}
