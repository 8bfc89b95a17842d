// lora_expand_weight_gradient: for each row n of b, of column j in part p:
// g[n][k] = round(g[n][k] + scale * sum_r dy[r][j] * t[r][p * rank + k]), the sum in f32.
// operands: dy (rows, ldc), t (rows, count * rank), g (rows of b, rank) f32 or bf16, in place.
#ifndef TANDEM_ABI_LORA_EXPAND_WEIGHT_GRADIENT_H
#define TANDEM_ABI_LORA_EXPAND_WEIGHT_GRADIENT_H
#include "core/abi/lora_parts.h"
TANDEM_ABI_BEGIN

struct LoraExpandWeightGradient {
  uint32_t rows;       // B*T
  uint32_t rank;       // multiple of 8
  uint32_t ldc;        // columns of y, multiple of 8
  uint32_t rows_of_b;  // all parts' columns
  float scale;
  LoraParts parts;
};

TANDEM_ABI_END(LoraExpandWeightGradient)
#endif
