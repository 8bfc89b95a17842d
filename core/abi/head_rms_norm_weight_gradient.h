// head_rms_norm_weight_gradient: q_g[d] = round(q_g[d] + sum over rows and q heads of dy * x * rstd); k_g alike over k
// heads. f32 sums. operands: dy (rows, heads, head_dim) stacked q | k | v, x as dy, rstd (rows, q_heads + k_heads) f32,
// q_g (head_dim), k_g (head_dim), both in place.
#ifndef TANDEM_ABI_HEAD_RMS_NORM_WEIGHT_GRADIENT_H
#define TANDEM_ABI_HEAD_RMS_NORM_WEIGHT_GRADIENT_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct HeadRmsNormWeightGradient {
  uint32_t rows;  // B*T
  uint32_t q_heads, kv_heads;
  uint32_t head_dim;  // multiple of 8
};

TANDEM_ABI_END(HeadRmsNormWeightGradient)
#endif
