// rms_norm: s = round(x + delta) (s = x without delta); y[r][c] = round(s[r][c] * rstd[r] * weight[c]),
// rstd[r] = 1 / sqrt(mean_c s[r][c]^2 + epsilon); amax = max(amax, bits |y|) when present.
// operands: x (rows, columns), delta as x|-, weight (columns), sum as x (present with delta)|-, y as x, rstd (rows)
// f32, amax (64) u32|-.
#ifndef TANDEM_ABI_RMS_NORM_H
#define TANDEM_ABI_RMS_NORM_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct RmsNorm {
  uint32_t rows;     // B*T
  uint32_t columns;  // multiple of 8
  float epsilon;
  uint32_t has_delta;
  uint32_t has_amax;  // element 0 of amax is used; zeroed before
};

TANDEM_ABI_END(RmsNorm)
#endif
