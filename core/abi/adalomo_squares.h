// adalomo_squares: sums of squares of one stored tensor's gradient, times the clipping's coefficient, over the tiles of
// 128 rows and 256 columns that it is cut into: column_sums[i][c] = the sum over the rows r of the i-th tile down of
// (coefficient * gradient[r][c])^2, row_sums[i][r] the same over the columns of the i-th tile across. A vector is a
// matrix of one row, and has no row_sums. The tensor begins at block `first` of the gradient.
// operands: gradient (any), update (16) u32, or (tensors, 64) of which row update_row is this tensor's, abi
// UpdateScalars; column_sums (ceil(rows / 128), columns) f32, row_sums (ceil(columns / 256), rows) f32|-.
#ifndef TANDEM_ABI_ADALOMO_SQUARES_H
#define TANDEM_ABI_ADALOMO_SQUARES_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct AdalomoSquares {
  uint32_t first;  // block of 4 elements; the tensor has whole ones
  uint32_t rows;
  uint32_t columns;  // multiple of 4
  uint32_t update_row;
  uint32_t by_row;  // 0 of a vector
};

const uint32_t kAdalomoTileRows = 128;
const uint32_t kAdalomoTileColumns = 256;

TANDEM_ABI_END(AdalomoSquares)
#endif
