// muon_update: see core/abi/muon_update.h. One invocation 4 elements: one Philox block for p.
// reads x (count), update; updates p and master.
//! variant f32 u32 f32 - : -DT=f32
//! variant bf16 u32 bf16 - : -DT=bf16
//! variant bf16 u32 bf16 f32 : -DT=bf16 -DMASTER
//! iterations 300
//! grid std::min<uint64_t>(divide_up(p.count, 4 * 64), 256), divide_up(divide_up(p.count, 4), 64 * 256)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/muon_update.h"
#include "core/abi/numeric.h"
#include "core/abi/adamw_corrections.h"
#include "shaders/common/quad.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { MuonUpdate p; };
layout(binding = 0, QUAD_FORMAT(T)) uniform readonly QUAD_IMAGE(T) x;
layout(binding = 1) readonly buffer Update { UpdateScalars update; };
#ifdef MASTER
layout(binding = 2, QUAD_FORMAT(T)) uniform writeonly QUAD_IMAGE(T) parameter;
layout(binding = 3, rgba32f) uniform imageBuffer master;
#else
layout(binding = 2, QUAD_FORMAT(T)) uniform QUAD_IMAGE(T) parameter;
#endif

void main() {
  const uint i = (gl_WorkGroupID.y * 256u + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x, at = p.first + i;
  if (i >= p.count / 4u || update.skipped != 0u) return;
#ifdef MASTER
  precise vec4 w = imageLoad(master, int(at));
#else
  precise vec4 w = QUAD_LOAD(T, parameter, at);
#endif
  w = w - update.learning_rate * p.decay * w;
  w = w - update.learning_rate * p.scale * QUAD_LOAD(T, x, i);
#ifdef MASTER
  imageStore(master, int(at), w);
  QUAD_STORE(T, parameter, at, w);
#else
  const PhiloxWords words = philox(update.seed_low, update.seed_high, i, p.tensor, update.step, 0u);
  QUAD_STORE_STOCHASTIC(T, parameter, at, w, uvec4(words.word[0], words.word[1], words.word[2], words.word[3]));
#endif
}
