// cross_entropy: loss[r] = lse[r] - logits[r][target]; with write_gradient the logits become their gradient:
// round((softmax * (1 + 2 z_loss lse) - onehot) * inverse_targets), and 0 in padded columns. A target < 0: loss 0 and a
// zero gradient. A target outside the vocabulary: NaN. operands: targets (rows) i32, scalars (16) u32 (abi
// StepScalars), logits (rows, columns) in place, loss (rows) f32.
#ifndef TANDEM_ABI_CROSS_ENTROPY_H
#define TANDEM_ABI_CROSS_ENTROPY_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct CrossEntropy {
  uint32_t rows;
  uint32_t vocabulary;
  uint32_t columns;  // vocabulary rounded up to a multiple of 16
  uint32_t write_gradient;
  float z_loss;
};

TANDEM_ABI_END(CrossEntropy)
#endif
