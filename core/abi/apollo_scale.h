// apollo_scale: Adam's moments of a projected gradient, and what APOLLO or GaLore makes of them. By rows of r, one per
// channel, each operation one f32 rounding: g = (by * coefficient) * r; m' = beta1 m + (1 - beta1) g; v' = beta2 v +
// ((1 - beta2) g) g; n = m' / (sqrt(v') + epsilon). out by form: channel: |n| / (|g| + 1e-8) of each row; tensor: |n|^2
// of each row, then |g|^2 of each; direction: n, rounded to nearest. m and v stay when update.skipped.
// A sum over a row: lane i of 64 adds elements i, i + 64, ... in order, from 0; then neighbours, then pairs of them.
// operands: r (rows, rank) f32, update (16) u32, abi UpdateScalars, out (rows) f32, (2, rows) f32 or (rows, rank); in
// place m (any, rank), v (as m) f32, of which the rows begin at first_row.
#ifndef TANDEM_ABI_APOLLO_SCALE_H
#define TANDEM_ABI_APOLLO_SCALE_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct ApolloScale {
  uint32_t rows, rank;
  uint32_t first_row;
  uint32_t form;  // kApollo...
  uint32_t wide;  // n is f32, else bf16; with kApolloDirection
  float by;       // 1 / sqrt(rank), as r is made by signs alone
  float beta1, beta2;
  float one_minus_beta1, one_minus_beta2;
  float epsilon;
};

const uint32_t kApolloChannel = 0;
const uint32_t kApolloTensor = 1;
const uint32_t kApolloDirection = 2;

TANDEM_ABI_END(ApolloScale)
#endif
