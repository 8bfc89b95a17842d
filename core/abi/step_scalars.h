// Words of a step that the host sets before it (step_inputs, two slots) and that instructions read (scalars): floats by
// their bits. The device keeps counter: [0] begins so far (slot = (counter[0] - 1) & 1), [1] micro-step of this step.
#ifndef TANDEM_ABI_STEP_SCALARS_H
#define TANDEM_ABI_STEP_SCALARS_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct StepScalars {
  float learning_rate;
  float inverse_targets;  // 1/N, N the valid targets of the whole step
  uint32_t step;          // s, from 0
  uint32_t seed_low, seed_high;
  uint32_t targets;  // N; 0: the step is skipped
  uint32_t rank;     // the device's among those that train together; here, so that all run the same Program
};

const uint32_t kStepScalarWords = 16;
const uint32_t kTensorWords = 64;  // words of one stored tensor's verdict: several stand side by side, each aligned

TANDEM_ABI_END(StepScalars)
#endif
