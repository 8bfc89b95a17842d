// adalomo_moments: see core/abi/adalomo_moments.h. One workgroup of 64 for 256 rows, and for 256 columns, the rows' first.
// reads column_sums, update, row_sums; writes column_factors, row_factors, row_totals; updates column and row. An invocation adds its
// tiles in order, and of a total rows i, i + 64, ... in order; then tree.glsl's order.
//! variant f32 u32 f32 f32 f32 f32 f32 f32 : -DBY_ROW
//! variant f32 u32 - f32 - - f32 - :
//! iterations 4 * std::max(divide_up(p.rows, kAdalomoTileRows), divide_up(p.columns, kAdalomoTileColumns)) + 16
//! grid divide_up(p.rows, kAdalomoBlock) + divide_up(p.columns, kAdalomoBlock)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/abi/adalomo_moments.h"
#include "core/abi/adalomo_squares.h"
#include "core/abi/numeric.h"
#include "core/abi/adamw_corrections.h"
#include "core/abi/segments.h"
#include "core/abi/step_scalars.h"
#include "shaders/common/tree.glsl"
#include "shaders/common/update_words.glsl"

layout(local_size_x = 64) in;
layout(push_constant) uniform Parameters { AdalomoMoments p; };
layout(binding = 0) readonly buffer ColumnSums { float column_sums[]; };
layout(binding = 3) writeonly buffer ColumnFactors { float column_factors[]; };
layout(binding = 6) buffer Column { float column[]; };
#ifdef BY_ROW
layout(binding = 2) readonly buffer RowSums { float row_sums[]; };
layout(binding = 4) writeonly buffer RowFactors { float row_factors[]; };
layout(binding = 5) writeonly buffer RowTotals { float row_totals[]; };
layout(binding = 7) buffer Row { float row[]; };
#endif

UpdateScalars update;

// sum: of `over` squares
float moved(float moment, float sum, uint over) {
  const float share = adalomo_share(update.updates);
  precise float next = (1.0 - share) * moment + share * (sum / float(over) + 1e-30);
  return update.skipped != 0u ? moment : next;
}

float factor_of(float moment) {
  precise float factor = 1.0 / sqrt(moment);
  return factor;
}

void move_column(uint i) {
  precise float sum = 0.0;
  for (uint t = 0u; t < (p.rows - 1u) / kAdalomoTileRows + 1u; ++t) sum = sum + column_sums[t * p.columns + i];
  const float moment = moved(column[p.first_column + i], sum, p.true_rows);
  column[p.first_column + i] = moment;
  column_factors[i] = factor_of(moment);
}

#ifdef BY_ROW
float moved_row(uint i) {
  precise float sum = 0.0;
  for (uint t = 0u; t < (p.columns - 1u) / kAdalomoTileColumns + 1u; ++t) sum = sum + row_sums[t * p.rows + i];
  const float moment = moved(row[p.first_row + i], sum, p.true_columns);
  row[p.first_row + i] = moment;
  row_factors[i] = factor_of(moment);
  return i < p.true_rows ? moment : 0.0;
}
#endif

void main() {
  update = words_from(p.update_row * kTensorWords);
  const uint lane = gl_LocalInvocationID.x, row_blocks = (p.rows - 1u) / kAdalomoBlock + 1u;
  if (gl_WorkGroupID.x >= row_blocks) {
    const uint first = (gl_WorkGroupID.x - row_blocks) * kAdalomoBlock;
    for (uint i = first + lane; i < min(first + kAdalomoBlock, p.columns); i += 64u) move_column(i);
    return;
  }
#ifdef BY_ROW
  const uint first = gl_WorkGroupID.x * kAdalomoBlock;
  precise float total = 0.0;
  for (uint i = first + lane; i < min(first + kAdalomoBlock, p.rows); i += 64u) total = total + moved_row(i);
  const float all = sum_workgroup(total);
  if (lane == 0u) row_totals[gl_WorkGroupID.x] = all;
#endif
}
