// adalomo_norm: see core/abi/adalomo_norm.h. One workgroup of 64 a partial.
// reads gradient, update, w, column_factors, row_factors, row_totals; writes partials. Invocation i adds row_totals i, i + 64, ..., and
// blocks i, i + 64, ... of 4 squares, (0 + 1) + (2 + 3), in order; then tree.glsl's order.
//! variant f32 u32 f32 f32 f32 f32 f32 : -DG=f32 -DW=f32 -DBY_ROW
//! variant f32 u32 f32 f32 - - f32 : -DG=f32 -DW=f32
//! variant bf16 u32 bf16 f32 f32 f32 f32 : -DG=bf16 -DW=bf16 -DBY_ROW
//! variant bf16 u32 bf16 f32 - - f32 : -DG=bf16 -DW=bf16
//! variant bf16 u32 f32 f32 f32 f32 f32 : -DG=bf16 -DW=f32 -DBY_ROW
//! variant bf16 u32 f32 f32 - - f32 : -DG=bf16 -DW=f32
//! variant f32 u32 bf16 f32 f32 f32 f32 : -DG=f32 -DW=bf16 -DBY_ROW
//! variant f32 u32 bf16 f32 - - f32 : -DG=f32 -DW=bf16
//! iterations p.totals / 64 + kAdalomoNormBlock / 256 + 30
//! grid std::min<uint64_t>(divide_up(uint64_t(p.rows) * p.columns, kAdalomoNormBlock), 32768), divide_up(divide_up(uint64_t(p.rows) * p.columns, kAdalomoNormBlock), 32768)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/adalomo_norm.h"
#include "core/abi/numeric.h"
#include "core/abi/adamw_corrections.h"
#include "core/abi/segments.h"
#include "core/abi/step_scalars.h"
#include "shaders/common/quad.glsl"
#include "shaders/common/tree.glsl"
#include "shaders/common/update_words.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { AdalomoNorm p; };
layout(binding = 0, QUAD_FORMAT(G)) uniform readonly QUAD_IMAGE(G) gradient;
layout(binding = 2, QUAD_FORMAT(W)) uniform readonly QUAD_IMAGE(W) weight;
layout(binding = 3) readonly buffer ColumnFactors { vec4 column_factors[]; };
#ifdef BY_ROW
layout(binding = 4) readonly buffer RowFactors { float row_factors[]; };
layout(binding = 5) readonly buffer RowTotals { float row_totals[]; };
#endif
layout(binding = 6) writeonly buffer Partials { float partials[]; };

float sum_of_squares(vec4 x) {
  precise vec4 square = x * x;
  precise float sum = (square.x + square.y) + (square.z + square.w);
  return sum;
}

void main() {
  const uint lane = gl_LocalInvocationID.x, count = p.rows * p.columns, blocks = (count - 1u) / kAdalomoNormBlock + 1u;
  const uint block = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
  if (block >= blocks) return;
#ifdef BY_ROW
  precise float total = 0.0;
  for (uint i = lane; i < p.totals; i += 64u) total = total + row_totals[i];
  const float totals = sum_workgroup(total);
  barrier();
  precise float root = sqrt(totals / float(p.true_rows));
#endif
  const float coefficient = words_from(p.update_row * kTensorWords).coefficient;
  const uint first = block * (kAdalomoNormBlock / 4u), end = min(first + kAdalomoNormBlock / 4u, count / 4u), quads = p.columns / 4u;
  precise float direction = 0.0, weights = 0.0;
  for (uint i = first + lane; i < end; i += 64u) {
    precise vec4 u = coefficient * QUAD_LOAD(G, gradient, p.first + i);
#ifdef BY_ROW
    precise float by_row = row_factors[i / quads] * root;
    u = u * by_row;
#endif
    u = u * column_factors[i % quads];
    direction = direction + sum_of_squares(u);
    weights = weights + sum_of_squares(QUAD_LOAD(W, weight, p.first + i));
  }
  const float all_directions = sum_workgroup(direction);
  barrier();
  const float all_weights = sum_workgroup(weights);
  if (lane != 0u) return;
  partials[block] = all_directions;
  partials[blocks + block] = all_weights;
}
