// tensor_verdict: whether and by what factor one stored tensor is updated, before the step's other gradients are known.
// squares = the sum of partials, by a tree of fixed shape; norm = sqrt(squares). skipped = norm or loss not finite or
// no target; loss * inverse_targets is the loss. coefficient = min(1, grad_clip / (norm + 1e-6)); with last_norm that
// takes the norm's place, and 0, before the first update, gives 1; 1 when grad_clip is 0. updates, which the step's own
// verdict counts, are one more than were done, unless the loss is not finite or there is no target. operands: partials
// (count) f32, loss (1) f32, scalars (16) u32, updates (1) u32, last_norm (1) f32|-; verdict (1, 64) u32, abi Verdict
// and then zeros; squares (64) f32, the sum and then zeros.
#ifndef TANDEM_ABI_TENSOR_VERDICT_H
#define TANDEM_ABI_TENSOR_VERDICT_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct TensorVerdict {
  uint32_t count;
  float grad_clip;
};

TANDEM_ABI_END(TensorVerdict)
#endif
