// adamw_corrections: the words that updates read. correction1 = 1 - beta1^t, correction2_root = sqrt(1 - beta2^t), t =
// verdict.updates, 1 - beta^t = one_minus_exp(t ln beta); the other words are the verdict's.
// operands: verdict (16) u32, or (tensors, 64) of several stored tensors, abi Verdict; update as verdict, abi
// UpdateScalars
#ifndef TANDEM_ABI_ADAMW_CORRECTIONS_H
#define TANDEM_ABI_ADAMW_CORRECTIONS_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct AdamwCorrections {
  float log_beta1, log_beta2;  // ln beta; 0 stands for beta = 0
  uint32_t tensors;            // 0: one verdict for all
};

struct UpdateScalars {
  float learning_rate;
  float coefficient;       // the factor of the gradient, clipping
  float correction1;       // 1 - beta1^t
  float correction2_root;  // sqrt(1 - beta2^t)
  uint32_t skipped;
  uint32_t step;
  uint32_t seed_low, seed_high;
  uint32_t rank;
  uint32_t updates;  // t
};

TANDEM_ABI_END(AdamwCorrections)
#endif
