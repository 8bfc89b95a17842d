// rms_norm_backward: with s the normalised input and w = dy * weight:
// dx[r][c] = round(dsum[r][c] + rstd[r] * (w[r][c] - s[r][c] * rstd[r]^2 * mean_c(w * s))); without dsum that term is
// 0. operands: dy (rows, columns), dsum as dy|-, s as dy, weight (columns), rstd (rows) f32, dx as dy, amax (64) u32|-.
#ifndef TANDEM_ABI_RMS_NORM_BACKWARD_H
#define TANDEM_ABI_RMS_NORM_BACKWARD_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct RmsNormBackward {
  uint32_t rows;     // B*T
  uint32_t columns;  // multiple of 8
  uint32_t has_dsum;
  uint32_t has_amax;  // amax of dx
};

TANDEM_ABI_END(RmsNormBackward)
#endif
