// apollo_update: p -= learning_rate * decay * p; p -= rate * x, for one stored tensor of a parameter, rate =
// ((learning_rate * correction2_root) / correction1) * scale, times factor and then times the channel's where there are
// any: APOLLO's x is the gradient, whose channels are rows or, transposed, columns; GaLore's is its direction. Nothing
// changes when update.skipped. Each operation is one f32 rounding. f32 p stores as is; bf16 p by stochastic rounding,
// element e of the stored tensor with word e mod 4 of philox(seed; e div 4, tensor, step, 0). With a master (f32) the
// update is made on it, and p = rne(master). The tensor begins at block `first` of p and master. operands: x (rows,
// columns), factors (rows or columns) f32|-, factor (1) f32|-, update (16) u32, abi UpdateScalars; in place p (any),
// master (as p) f32|-.
#ifndef TANDEM_ABI_APOLLO_UPDATE_H
#define TANDEM_ABI_APOLLO_UPDATE_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct ApolloUpdate {
  uint32_t first;  // block of 4 elements; the tensor has whole ones
  uint32_t tensor;
  uint32_t count;
  uint32_t columns;  // multiple of 4
  uint32_t has_factors, has_factor, has_master;
  uint32_t transposed;  // channels are columns
  float decay;
  float scale;
};

TANDEM_ABI_END(ApolloUpdate)
#endif
