// adalomo_squares: see core/abi/adalomo_squares.h. One workgroup of 64 a tile of 128 rows and 256 columns.
// reads gradient, update; writes column_sums and row_sums. An invocation has 4 columns and adds their rows in order; a row's squares are
// added 4 columns by 4, 16 of these by one invocation in order, and then four of such sums, (0 + 1) + (2 + 3).
//! variant f32 u32 f32 f32 : -DG=f32 -DBY_ROW
//! variant f32 u32 f32 - : -DG=f32
//! variant bf16 u32 f32 f32 : -DG=bf16 -DBY_ROW
//! variant bf16 u32 f32 - : -DG=bf16
//! iterations kAdalomoTileRows * 2 + 40
//! grid divide_up(p.columns, kAdalomoTileColumns), divide_up(p.rows, kAdalomoTileRows)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/adalomo_squares.h"
#include "core/abi/numeric.h"
#include "core/abi/adamw_corrections.h"
#include "core/abi/segments.h"
#include "core/abi/step_scalars.h"
#include "shaders/common/quad.glsl"
#include "shaders/common/update_words.glsl"

const uint kRows = 16u;  // at a time, a quarter of each by one invocation

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { AdalomoSquares p; };
layout(binding = 0, QUAD_FORMAT(G)) uniform readonly QUAD_IMAGE(G) gradient;
layout(binding = 2) writeonly buffer ColumnSums { vec4 column_sums[]; };
#ifdef BY_ROW
layout(binding = 3) writeonly buffer RowSums { float row_sums[]; };
shared float own[kRows][64], quarters[64];

// first: of the rows whose squares lie in own
void add_rows(uint first) {
  const uint lane = gl_LocalInvocationID.x;
  barrier();
  precise float quarter = 0.0;
  for (uint i = 0u; i < 16u; ++i) quarter = quarter + own[lane / 4u][16u * (lane % 4u) + i];
  quarters[lane] = quarter;
  barrier();
  if (lane >= kRows || first + lane >= p.rows) return;
  precise float sum = (quarters[4u * lane] + quarters[4u * lane + 1u]) + (quarters[4u * lane + 2u] + quarters[4u * lane + 3u]);
  row_sums[gl_WorkGroupID.x * p.rows + first + lane] = sum;
}
#endif

void main() {
  const uint lane = gl_LocalInvocationID.x, quads = p.columns / 4u, quad = gl_WorkGroupID.x * 64u + lane;
  const uint begin = gl_WorkGroupID.y * kAdalomoTileRows, end = min(begin + kAdalomoTileRows, p.rows);
  const float coefficient = words_from(p.update_row * kTensorWords).coefficient;
  precise vec4 columns = vec4(0.0);
  for (uint first = begin; first < end; first += kRows) {
    for (uint k = 0u; k < kRows; ++k) {
      precise vec4 square = vec4(0.0);
      if (first + k < end && quad < quads) {
        square = coefficient * QUAD_LOAD(G, gradient, p.first + (first + k) * quads + quad);
        square = square * square;
        columns = columns + square;
      }
#ifdef BY_ROW
      own[k][lane] = (square.x + square.y) + (square.z + square.w);
#endif
    }
#ifdef BY_ROW
    add_rows(first);
#endif
  }
  if (quad < quads) column_sums[gl_WorkGroupID.y * quads + quad] = columns;
}
