// swiglu_backward: dgate = round(dy * up * silu_derivative(gate)), dup = round(dy * silu(gate)).
// operands: dy (rows, columns), x (rows, 2 columns) stacked gate | up, dx as x, amax (64) u32|- of dx.
#ifndef TANDEM_ABI_SWIGLU_BACKWARD_H
#define TANDEM_ABI_SWIGLU_BACKWARD_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct SwigluBackward {
  uint32_t rows;
  uint32_t columns;  // the ffn width, multiple of 8
  uint32_t has_amax;
};

TANDEM_ABI_END(SwigluBackward)
#endif
