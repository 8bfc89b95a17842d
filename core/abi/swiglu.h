// swiglu: y[r][c] = round(silu(gate) * up), gate = x[r][c], up = x[r][columns + c]; amax = max(amax, bits |y|) when
// present. operands: x (rows, 2 columns) stacked gate | up, y (rows, columns), amax (64) u32|-.
#ifndef TANDEM_ABI_SWIGLU_H
#define TANDEM_ABI_SWIGLU_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct Swiglu {
  uint32_t rows;
  uint32_t columns;  // the ffn width, multiple of 8
  uint32_t has_amax;
};

TANDEM_ABI_END(Swiglu)
#endif
