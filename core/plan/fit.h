// What to say, and what would do, when a configured step does not fit.
#pragma once

#include "core/step/compile_step.h"

namespace tandem {

// The largest micro_batch up to shape's whose step fits the target under the policy; 0: none does. LM-head chunks are
// chosen anew for each where shape's were.
uint32_t largest_micro_batch(const StepSpec& spec, const MemoryPolicy& policy, const Target& target);

// compile_step. Exit::does_not_fit where the plan does not fit, naming the largest micro_batch that does, under this
// recipe or else another.
Compiled compile_step_or_suggest(const StepSpec& spec, const MemoryPolicy& policy, const Target& target);

}  // namespace tandem
