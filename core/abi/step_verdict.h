// step_verdict: norm = sqrt(sum partials); loss = loss_sum * inverse_targets; skipped = loss or norm not finite or no
// target. If not skipped, updates += 1. Fills verdict (abi Verdict) and report[slot] (abi StepReport), slot =
// (counter[0] - 1) & 1. The sum is a tree of fixed shape. coefficient = min(1, grad_clip / (norm + 1e-6)), 1 when
// grad_clip is 0.
// operands: partials (count) f32, loss (1) f32, scalars (16) u32, counter (16) i32, verdict (16) u32, updates (1) u32,
// in place, report (2, 16) u32, in place (the other slot stays).
#ifndef TANDEM_ABI_STEP_VERDICT_H
#define TANDEM_ABI_STEP_VERDICT_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct StepVerdict {
  uint32_t count;
  float grad_clip;
};

// What an update does, whatever the optimizer.
struct Verdict {
  float learning_rate;
  float coefficient;  // of the gradient, clipping
  uint32_t skipped;
  uint32_t step;
  uint32_t seed_low, seed_high;
  uint32_t updates;  // done, this one among them
};

struct StepReport {
  float loss;
  float grad_norm;
  uint32_t skipped;
  uint32_t updates;  // done
  uint32_t step;
};

TANDEM_ABI_END(StepVerdict)
#endif
