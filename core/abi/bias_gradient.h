// bias_gradient: g[c] = round(g[c] + sum_r dy[r][c]), the sum in f32. operands: dy (rows, columns), g (columns) f32 or
// bf16, in place.
#ifndef TANDEM_ABI_BIAS_GRADIENT_H
#define TANDEM_ABI_BIAS_GRADIENT_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct BiasGradient {
  uint32_t rows;     // B*T
  uint32_t columns;  // multiple of 8
};

TANDEM_ABI_END(BiasGradient)
#endif
