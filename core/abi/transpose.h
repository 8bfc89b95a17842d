// transpose: qt[c][r] = q[r][c]: the second copy that quantize makes, of codes that came from elsewhere.
// operands: q (rows, columns) e4m3, qt (columns, rows) e4m3.
#ifndef TANDEM_ABI_TRANSPOSE_H
#define TANDEM_ABI_TRANSPOSE_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct Transpose {
  uint32_t rows, columns;  // multiples of 16
};

TANDEM_ABI_END(Transpose)
#endif
