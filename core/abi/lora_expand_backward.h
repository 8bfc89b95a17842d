// lora_expand_backward: dt[r][p * rank + k] = round(scale * sum_j dy[r][first[p] + j] * b[n + j][k]). j counts the
// columns of part p, n is the first row of b that belongs to it, and the sum is in f32.
// operands: dy (rows, ldc), b (rows of b, rank), dt (rows, count * rank).
#ifndef TANDEM_ABI_LORA_EXPAND_BACKWARD_H
#define TANDEM_ABI_LORA_EXPAND_BACKWARD_H
#include "core/abi/lora_parts.h"
TANDEM_ABI_BEGIN

struct LoraExpandBackward {
  uint32_t rows;  // B*T
  uint32_t rank;  // multiple of 8
  uint32_t ldc;   // columns of y, multiple of 8
  float scale;
  LoraParts parts;
};

TANDEM_ABI_END(LoraExpandBackward)
#endif
