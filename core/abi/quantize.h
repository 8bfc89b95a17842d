// quantize: q = quantize_e4m3(x, amax[0]) (numeric.h), its transpose qt, and scale = 2^-k, with which q * scale is about x; NaN when poisoned.
// operands: x (rows, columns), amax (64) u32, q (rows, columns) e4m3|-, qt (columns, rows) e4m3|-, scale (1) f32.
#ifndef TANDEM_ABI_QUANTIZE_H
#define TANDEM_ABI_QUANTIZE_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct Quantize {
  uint32_t rows, columns;  // multiples of 16
  uint32_t has_q, has_qt;
};

TANDEM_ABI_END(Quantize)
#endif
