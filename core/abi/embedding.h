// embedding: y[i] = table[tokens[i]]. operands: tokens (rows) i32, table (vocabulary, columns), y (rows, columns) as
// table. A token outside the vocabulary gives a row of NaN.
#ifndef TANDEM_ABI_EMBEDDING_H
#define TANDEM_ABI_EMBEDDING_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct Embedding {
  uint32_t rows;     // B*T
  uint32_t columns;  // multiple of 8
  uint32_t vocabulary;
};

TANDEM_ABI_END(Embedding)
#endif
