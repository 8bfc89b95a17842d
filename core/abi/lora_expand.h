// lora_expand: what an adapter adds to a product, for each column j of a part p, whose row of b is n:
// c[r][j] = round(scale * sum_k t[r][p * rank + k] * b[n][k]), the sum in f32; zero in columns of no part.
// operands: t (rows, count * rank), b (rows of b, rank), c (rows, ldc).
#ifndef TANDEM_ABI_LORA_EXPAND_H
#define TANDEM_ABI_LORA_EXPAND_H
#include "core/abi/lora_parts.h"
TANDEM_ABI_BEGIN

struct LoraExpand {
  uint32_t rows;  // B*T
  uint32_t rank;  // multiple of 8
  uint32_t ldc;   // columns of y, multiple of 8
  float scale;
  LoraParts parts;
};

TANDEM_ABI_END(LoraExpand)
#endif
