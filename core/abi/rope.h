// rope: rotary position embedding (arXiv 2104.09864) on the q and k heads, halves paired as in transformers: with i <
// head_dim/2, p = positions[r], (y[i], y[i + head_dim/2]) = round(x[i] cos - x[i + head_dim/2] sin, x[i + head_dim/2]
// cos + x[i] sin); inverse negates sin (the gradient). operands: positions (rows) i32, table (positions, head_dim/2, 2)
// f32 of cos and sin, x (rows, heads, head_dim) stacked q | k | v, in place; v stays.
#ifndef TANDEM_ABI_ROPE_H
#define TANDEM_ABI_ROPE_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct Rope {
  uint32_t rows;  // B*T
  uint32_t q_heads, kv_heads;
  uint32_t head_dim;  // multiple of 8
  uint32_t table_rows;
  uint32_t inverse;
};

TANDEM_ABI_END(Rope)
#endif
