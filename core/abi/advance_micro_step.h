// advance_micro_step: counter[1] += 1. operands: counter (16) i32, in place.
#ifndef TANDEM_ABI_ADVANCE_MICRO_STEP_H
#define TANDEM_ABI_ADVANCE_MICRO_STEP_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct AdvanceMicroStep {
  uint32_t unused;
};

TANDEM_ABI_END(AdvanceMicroStep)
#endif
