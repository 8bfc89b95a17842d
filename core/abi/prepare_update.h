// prepare_update: norm = sqrt(sum partials); skipped = loss or norm not finite or no target. If not skipped, t += 1.
// Fills update (abi UpdateScalars) and report[slot] (abi StepReport), slot = (counter[0] - 1) & 1. loss = loss_sum *
// inverse_targets. The sum is a tree of fixed shape. coefficient = min(1, grad_clip / (norm + 1e-6)), 1 when grad_clip
// is 0; bias corrections 1 - beta^t = one_minus_exp(t ln beta). operands: partials (count) f32, loss (1) f32, scalars
// (16) u32, counter (16) i32, update (16) u32, t (1) u32, in place, report (2, 16) u32, in place (the other slot
// stays).
#ifndef TANDEM_ABI_PREPARE_UPDATE_H
#define TANDEM_ABI_PREPARE_UPDATE_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct PrepareUpdate {
  uint32_t count;
  float grad_clip;
  float log_beta1, log_beta2;  // ln beta; 0 stands for beta = 0
};

struct UpdateScalars {
  float learning_rate;
  float coefficient;       // of the gradient, clipping
  float correction1;       // 1 - beta1^t
  float correction2_root;  // sqrt(1 - beta2^t)
  uint32_t skipped;
  uint32_t step;
  uint32_t seed_low, seed_high;
};

struct StepReport {
  float loss;
  float grad_norm;
  uint32_t skipped;
  uint32_t t;  // updates done
  uint32_t step;
};

TANDEM_ABI_END(PrepareUpdate)
#endif
