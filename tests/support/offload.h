// Sets of what a policy offloads, by a number, for random policies.
#pragma once

#include "core/passes/policy.h"

namespace tandem::test {

// bits 0 to 6: the states 0, 1 and 2, parameters, copies, gradients, residuals
inline EnumSet<Offload> offload_set(uint32_t bits) {
  return EnumSet<Offload>::of((bits & 7) | (bits >> 3 << kMostStates));
}

}  // namespace tandem::test
