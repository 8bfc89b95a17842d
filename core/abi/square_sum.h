// square_sum: partials[i] = sum of x^2 over elements first + 65536 i ... first + 65536 i + 65535, as far as there are
// count from first on, in f32, by a tree of fixed shape. operands: x f32 or bf16, partials f32: ceil(count / 65536) of
// them, then zeros up to a multiple of 64.
#ifndef TANDEM_ABI_SQUARE_SUM_H
#define TANDEM_ABI_SQUARE_SUM_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct SquareSum {
  uint32_t count;
  uint32_t first;  // a multiple of 8
  uint32_t part;   // count of a part of x; 0: all of x
};

const uint32_t kSquareSumBlock = 65536;

TANDEM_ABI_END(SquareSum)
#endif
