// apollo_update: see core/abi/apollo_update.h. One invocation 4 elements: one Philox block for p.
// reads x (rows, columns), factors, factor, update; updates p and master.
//! variant f32 f32 f32 u32 f32 - : -DT=f32 -DFACTORS -DFACTOR
//! variant f32 - f32 u32 f32 - : -DT=f32 -DFACTOR
//! variant f32 - - u32 f32 - : -DT=f32
//! variant bf16 f32 f32 u32 bf16 - : -DT=bf16 -DFACTORS -DFACTOR
//! variant bf16 - f32 u32 bf16 - : -DT=bf16 -DFACTOR
//! variant bf16 - - u32 bf16 - : -DT=bf16
//! variant bf16 f32 f32 u32 bf16 f32 : -DT=bf16 -DFACTORS -DFACTOR -DMASTER
//! variant bf16 - f32 u32 bf16 f32 : -DT=bf16 -DFACTOR -DMASTER
//! variant bf16 - - u32 bf16 f32 : -DT=bf16 -DMASTER
//! iterations 300
//! grid std::min<uint64_t>(divide_up(p.count, 4 * 64), 256), divide_up(divide_up(p.count, 4), 64 * 256)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/apollo_update.h"
#include "core/abi/numeric.h"
#include "core/abi/adamw_corrections.h"
#include "shaders/common/channel.glsl"
#include "shaders/common/quad.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { ApolloUpdate p; };
layout(binding = 0, QUAD_FORMAT(T)) uniform readonly QUAD_IMAGE(T) x;
#ifdef FACTORS
layout(binding = 1) readonly buffer Factors { float factors[]; };
#endif
#ifdef FACTOR
layout(binding = 2) readonly buffer Factor { float factor; };
#endif
layout(binding = 3) readonly buffer Update { UpdateScalars update; };
#ifdef MASTER
layout(binding = 4, QUAD_FORMAT(T)) uniform writeonly QUAD_IMAGE(T) parameter;
layout(binding = 5, rgba32f) uniform imageBuffer master;
#else
layout(binding = 4, QUAD_FORMAT(T)) uniform QUAD_IMAGE(T) parameter;
#endif

void main() {
  const uint i = (gl_WorkGroupID.y * 256u + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x, at = p.first + i;
  if (i >= p.count / 4u || update.skipped != 0u) return;
#ifdef MASTER
  precise vec4 w = imageLoad(master, int(at));
#else
  precise vec4 w = QUAD_LOAD(T, parameter, at);
#endif
  precise float decay = update.learning_rate * p.decay;
  precise float rate = ((update.learning_rate * update.correction2_root) / update.correction1) * p.scale;
#ifdef FACTOR
  rate = rate * factor;
#endif
  precise vec4 by = vec4(rate);
#ifdef FACTORS
  by = by * CHANNEL_FACTORS(factors, i);
#endif
  w = w - decay * w;
  w = w - by * QUAD_LOAD(T, x, i);
#ifdef MASTER
  imageStore(master, int(at), w);
  QUAD_STORE(T, parameter, at, w);
#else
  const PhiloxWords words = philox(update.seed_low, update.seed_high, i, p.tensor, update.step, 0u);
  QUAD_STORE_STOCHASTIC(T, parameter, at, w, uvec4(words.word[0], words.word[1], words.word[2], words.word[3]));
#endif
}
