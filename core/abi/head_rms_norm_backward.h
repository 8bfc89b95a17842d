// head_rms_norm_backward: dx per head as in rms_norm_backward, without dsum; the value part of dy is copied.
// operands: dy (rows, heads, head_dim) stacked q | k | v, x as dy, q_weight (head_dim), k_weight (head_dim), rstd
// (rows, q_heads + k_heads) f32, dx as dy.
#ifndef TANDEM_ABI_HEAD_RMS_NORM_BACKWARD_H
#define TANDEM_ABI_HEAD_RMS_NORM_BACKWARD_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct HeadRmsNormBackward {
  uint32_t rows;  // B*T
  uint32_t q_heads, kv_heads;
  uint32_t head_dim;  // multiple of 8
};

TANDEM_ABI_END(HeadRmsNormBackward)
#endif
