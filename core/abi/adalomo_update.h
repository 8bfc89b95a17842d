// adalomo_update: p -= (rates[0] * decay) * p; p -= rates[1] * (((coefficient * gradient) * row_factors[r]) *
// column_factors[c]), for one stored tensor of a parameter; without row_factors, of a vector, there is no such factor.
// Nothing changes when update.skipped. f32 p stores as is; bf16 p by stochastic rounding, element e of the stored
// tensor with word e mod 4 of philox(seed; e div 4, tensor, step, 0). With a master (f32) the update is made on it, and
// p = rne(master). The tensor begins at block `first` of gradient, p and master. operands: gradient (any), update as in
// adalomo_squares, column_factors (columns) f32, row_factors (rows) f32|-, rates (2) f32; in place p (as gradient in
// shape), master (as p) f32|-.
#ifndef TANDEM_ABI_ADALOMO_UPDATE_H
#define TANDEM_ABI_ADALOMO_UPDATE_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct AdalomoUpdate {
  uint32_t first;  // block of 4 elements; the tensor has whole ones
  uint32_t tensor;
  uint32_t rows, columns;
  uint32_t update_row;
  uint32_t has_master;
  float decay;  // 0 of a vector
};

TANDEM_ABI_END(AdalomoUpdate)
#endif
