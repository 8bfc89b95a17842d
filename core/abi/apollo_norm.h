// apollo_norm: partials[i] = the sum of (f x)^2 over elements 16384 i ... 16384 i + 16383, f the factor of x's channel,
// which is its row or, transposed, its column; without factors the sum of x^2. Lane i of 64 adds blocks i, i + 64, ...
// of 4 squares, (0 + 1) + (2 + 3), in order, from 0; then neighbours, then pairs of them. Each operation is one f32
// rounding. operands: x (rows, columns), factors (rows or columns) f32|-, partials (ceil(rows columns / 16384)) f32.
#ifndef TANDEM_ABI_APOLLO_NORM_H
#define TANDEM_ABI_APOLLO_NORM_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct ApolloNorm {
  uint32_t count;
  uint32_t columns;      // multiple of 4
  uint32_t has_factors;  // 0 or 1
  uint32_t transposed;   // channels are columns
};

const uint32_t kApolloNormBlock = 16384;

TANDEM_ABI_END(ApolloNorm)
#endif
