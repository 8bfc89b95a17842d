// begin_step: counter[0] += 1; counter[1] = -1; scalars = inputs[(counter[0] - 1) & 1].
// operands: inputs (2, 16) u32, counter (16) i32, in place, scalars (16) u32.
#ifndef TANDEM_ABI_BEGIN_STEP_H
#define TANDEM_ABI_BEGIN_STEP_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct BeginStep {
  uint32_t words;  // 16
};

TANDEM_ABI_END(BeginStep)
#endif
