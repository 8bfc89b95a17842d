// head_rms_norm: RMSNorm of each query and key head (Qwen3); value heads are copied. y[r][h][d] = round(x[r][h][d] *
// rstd[r][h] * weight[d]). operands: x (rows, heads, head_dim) stacked q | k | v heads, q_weight (head_dim), k_weight
// (head_dim), y as x, rstd (rows, q_heads + k_heads) f32.
#ifndef TANDEM_ABI_HEAD_RMS_NORM_H
#define TANDEM_ABI_HEAD_RMS_NORM_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct HeadRmsNorm {
  uint32_t rows;  // B*T
  uint32_t q_heads, kv_heads;
  uint32_t head_dim;  // multiple of 8
  float epsilon;
};

TANDEM_ABI_END(HeadRmsNorm)
#endif
