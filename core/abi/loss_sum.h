// loss_sum: loss[0] += sum_r losses[r], in f32, by a tree of fixed shape. operands: losses (count) f32, loss (1) f32,
// in place.
#ifndef TANDEM_ABI_LOSS_SUM_H
#define TANDEM_ABI_LOSS_SUM_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct LossSum {
  uint32_t count;
};

TANDEM_ABI_END(LossSum)
#endif
