// muon_momentum: see core/abi/muon_momentum.h. One invocation 4 elements: one Philox block for m.
// reads gradient, update, m; writes u (rows, columns), updates m.
//! variant f32 u32 f32 f32 : -DG=f32 -DU=f32 -DM=f32
//! variant bf16 u32 bf16 bf16 : -DG=bf16 -DU=bf16 -DM=bf16
//! variant bf16 u32 bf16 f32 : -DG=bf16 -DU=bf16 -DM=f32
//! variant f32 u32 bf16 bf16 : -DG=f32 -DU=bf16 -DM=bf16
//! variant f32 u32 bf16 f32 : -DG=f32 -DU=bf16 -DM=f32
//! iterations 300
//! grid std::min<uint64_t>(divide_up(p.rows * p.columns, 4 * 64), 256), divide_up(divide_up(p.rows * p.columns, 4), 64 * 256)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/muon_momentum.h"
#include "core/abi/numeric.h"
#include "core/abi/adamw_corrections.h"
#include "shaders/common/quad.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { MuonMomentum p; };
layout(binding = 0, QUAD_FORMAT(G)) uniform readonly QUAD_IMAGE(G) gradient;
layout(binding = 1) readonly buffer Update { UpdateScalars update; };
layout(binding = 2, QUAD_FORMAT(U)) uniform writeonly QUAD_IMAGE(U) direction;
layout(binding = 3, QUAD_FORMAT(M)) uniform QUAD_IMAGE(M) momentum;

void main() {
  const uint i = (gl_WorkGroupID.y * 256u + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x, at = p.first + i;
  if (i >= p.rows * p.columns / 4u) return;
  precise vec4 g = p.one_minus_momentum * (QUAD_LOAD(G, gradient, at) * update.coefficient);
  precise vec4 m = p.momentum * QUAD_LOAD(M, momentum, at) + g;
  precise vec4 u = p.nesterov != 0u ? p.momentum * m + g : m;
  QUAD_STORE(U, direction, i, u);
  if (update.skipped != 0u) return;
  const PhiloxWords w = philox(update.seed_low, update.seed_high, i, p.tensor, update.step, 1u);
  QUAD_STORE_STOCHASTIC(M, momentum, at, m, uvec4(w.word[0], w.word[1], w.word[2], w.word[3]));
}
