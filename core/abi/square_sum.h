// square_sum: partials[i] = sum of x^2 over elements 65536 i ... 65536 i + 65535, in f32, by a tree of fixed shape.
// operands: x (count) f32 or bf16, partials f32: ceil(count / 65536) of them,
// then zeros up to a multiple of 64.
#ifndef TANDEM_ABI_SQUARE_SUM_H
#define TANDEM_ABI_SQUARE_SUM_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct SquareSum {
  uint32_t count;
};

const uint32_t kSquareSumBlock = 65536;

TANDEM_ABI_END(SquareSum)
#endif
