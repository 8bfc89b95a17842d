// adalomo_norm: partials[0][i] = the sum of u^2, and partials[1][i] that of w^2, over elements 16384 i ... 16384 i +
// 16383 of one stored tensor. u = ((coefficient * gradient) * (row_factors[r] * sqrt(mean))) * column_factors[c], mean
// = (the sum of row_totals) / true_rows; of a vector, which has neither row_factors nor row_totals, (coefficient *
// gradient) * column_factors[c]. The tensor begins at block `first` of gradient and w.
// operands: gradient (any), update as in adalomo_squares, w (as gradient in shape): the parameter or its master,
// column_factors (columns) f32, row_factors (rows) f32|-, row_totals (any) f32|-, partials (2, ceil(rows columns /
// 16384)) f32.
#ifndef TANDEM_ABI_ADALOMO_NORM_H
#define TANDEM_ABI_ADALOMO_NORM_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct AdalomoNorm {
  uint32_t first;  // block of 4 elements; the tensor has whole ones
  uint32_t rows, columns;
  uint32_t true_rows;
  uint32_t update_row;
  uint32_t totals;  // elements of row_totals; 0: there are none
};

const uint32_t kAdalomoNormBlock = 16384;

TANDEM_ABI_END(AdalomoNorm)
#endif
