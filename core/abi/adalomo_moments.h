// adalomo_moments: the running means of a gradient's squares by row and by column of one stored tensor. share = t^-0.8,
// t = update.updates; row'[r] = (1 - share) * row[r] + share * (the sum of row_sums[.][r] / true_columns + 1e-30), and
// column' alike by true_rows. row_factors = 1 / sqrt(row'), column_factors = 1 / sqrt(column'). row_totals[i] = the sum
// of row' over rows 256 i ... 256 i + 255, as far as these are no padding. Where update.skipped is set, row and column
// do not change. A vector is a matrix of one row: its column is the mean of its squares, and it has no row. operands:
// column_sums (ceil(rows / 128), columns) f32, update as in adalomo_squares, row_sums (ceil(columns / 256), rows)
// f32|-; column_factors (columns) f32, row_factors (rows) f32|-, row_totals (ceil(rows / 256)) f32|-; in place column
// (any) f32, row (any) f32|-, of which the tensor's begin at first_column and first_row.
#ifndef TANDEM_ABI_ADALOMO_MOMENTS_H
#define TANDEM_ABI_ADALOMO_MOMENTS_H
#include "core/abi/numeric.h"
TANDEM_ABI_BEGIN

struct AdalomoMoments {
  uint32_t rows, columns;
  uint32_t true_rows, true_columns;  // without padding, whose squares are zeros
  uint32_t first_row, first_column;
  uint32_t update_row;
};

const uint32_t kAdalomoBlock = 256;  // rows of one of row_totals

// t^-0.8
TANDEM_FN float adalomo_share(uint32_t t) {
  return exp_f32(-0.8f * log_f32(float(t)));
}

TANDEM_ABI_END(AdalomoMoments)
#endif
