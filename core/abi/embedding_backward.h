// embedding_backward: g[v] = round(g[v] + sum of dy[i] over the i with tokens[i] = v), the sum in f32 in the order of
// i. operands: tokens (rows) i32, dy (rows, columns), g (vocabulary, columns) f32 or bf16, in place. Rows of g that no
// token names stay.
#ifndef TANDEM_ABI_EMBEDDING_BACKWARD_H
#define TANDEM_ABI_EMBEDDING_BACKWARD_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct EmbeddingBackward {
  uint32_t rows;     // B*T
  uint32_t columns;  // multiple of 8
  uint32_t vocabulary;
};

TANDEM_ABI_END(EmbeddingBackward)
#endif
