// rms_norm_weight_gradient: g[c] = round(g[c] + sum_r dy[r][c] * s[r][c] * rstd[r]), the sum in f32.
// operands: dy (rows, columns), s as dy, rstd (rows) f32, g (columns) f32 or bf16, in place.
#ifndef TANDEM_ABI_RMS_NORM_WEIGHT_GRADIENT_H
#define TANDEM_ABI_RMS_NORM_WEIGHT_GRADIENT_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct RmsNormWeightGradient {
  uint32_t rows;     // B*T
  uint32_t columns;  // multiple of 8
};

TANDEM_ABI_END(RmsNormWeightGradient)
#endif
