// load_micro_step: x[i] = inputs[slot][micro-step][i], with slot = (counter[0] - 1) & 1, micro-step = counter[1].
// operands: inputs (2, micro_steps, count) i32, counter (16) i32, x (count) i32.
#ifndef TANDEM_ABI_LOAD_MICRO_STEP_H
#define TANDEM_ABI_LOAD_MICRO_STEP_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct LoadMicroStep {
  uint32_t micro_steps;
  uint32_t count;  // B*T
};

TANDEM_ABI_END(LoadMicroStep)
#endif
