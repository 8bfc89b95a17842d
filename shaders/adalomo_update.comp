// adalomo_update: see core/abi/adalomo_update.h. One invocation 4 elements: one Philox block for p.
// reads gradient, update, column_factors, row_factors, rates; updates p and master.
//! variant f32 u32 f32 f32 f32 f32 - : -DG=f32 -DP=f32 -DBY_ROW
//! variant f32 u32 f32 - f32 f32 - : -DG=f32 -DP=f32
//! variant bf16 u32 f32 f32 f32 bf16 - : -DG=bf16 -DP=bf16 -DBY_ROW
//! variant bf16 u32 f32 - f32 bf16 - : -DG=bf16 -DP=bf16
//! variant bf16 u32 f32 f32 f32 bf16 f32 : -DG=bf16 -DP=bf16 -DMASTER -DBY_ROW
//! variant bf16 u32 f32 - f32 bf16 f32 : -DG=bf16 -DP=bf16 -DMASTER
//! variant f32 u32 f32 f32 f32 bf16 - : -DG=f32 -DP=bf16 -DBY_ROW
//! variant f32 u32 f32 - f32 bf16 - : -DG=f32 -DP=bf16
//! variant f32 u32 f32 f32 f32 bf16 f32 : -DG=f32 -DP=bf16 -DMASTER -DBY_ROW
//! variant f32 u32 f32 - f32 bf16 f32 : -DG=f32 -DP=bf16 -DMASTER
//! iterations 300
//! grid std::min<uint64_t>(divide_up(uint64_t(p.rows) * p.columns, 4 * 64), 256), divide_up(divide_up(uint64_t(p.rows) * p.columns, 4), 64 * 256)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/adalomo_update.h"
#include "core/abi/numeric.h"
#include "core/abi/adamw_corrections.h"
#include "core/abi/segments.h"
#include "core/abi/step_scalars.h"
#include "shaders/common/quad.glsl"
#include "shaders/common/update_words.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { AdalomoUpdate p; };
layout(binding = 0, QUAD_FORMAT(G)) uniform readonly QUAD_IMAGE(G) gradient;
layout(binding = 2) readonly buffer ColumnFactors { vec4 column_factors[]; };
#ifdef BY_ROW
layout(binding = 3) readonly buffer RowFactors { float row_factors[]; };
#endif
layout(binding = 4) readonly buffer Rates { float rates[2]; };
#ifdef MASTER
layout(binding = 5, QUAD_FORMAT(P)) uniform writeonly QUAD_IMAGE(P) parameter;
layout(binding = 6, rgba32f) uniform imageBuffer master;
#else
layout(binding = 5, QUAD_FORMAT(P)) uniform QUAD_IMAGE(P) parameter;
#endif

void main() {
  const uint i = (gl_WorkGroupID.y * 256u + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x, at = p.first + i, quads = p.columns / 4u;
  if (i >= p.rows * quads) return;
  const UpdateScalars update = words_from(p.update_row * kTensorWords);
  if (update.skipped != 0u) return;
  precise vec4 u = update.coefficient * QUAD_LOAD(G, gradient, at);
#ifdef BY_ROW
  u = u * row_factors[i / quads];
#endif
  u = u * column_factors[i % quads];
#ifdef MASTER
  precise vec4 w = imageLoad(master, int(at));
#else
  precise vec4 w = QUAD_LOAD(P, parameter, at);
#endif
  precise float decay = rates[0] * p.decay;
  w = w - decay * w;
  w = w - rates[1] * u;
#ifdef MASTER
  imageStore(master, int(at), w);
  QUAD_STORE(P, parameter, at, w);
#else
  const PhiloxWords words = philox(update.seed_low, update.seed_high, i, p.tensor, update.step, 0u);
  QUAD_STORE_STOCHASTIC(P, parameter, at, w, uvec4(words.word[0], words.word[1], words.word[2], words.word[3]));
#endif
}
