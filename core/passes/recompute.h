// Clones forward nodes next to their use in the backward pass, in place of keeping what they made until then.
#pragma once

#include "core/plan/policy.h"

namespace tandem {

// Of the micro-step. Clones read what the policy keeps, down to each layer's input, and the forward pass's own amax, so
// that no bit changes; each value is made again once, and lives on from there. The forward nodes then make no copy that
// only the backward pass would have read.
Graph recompute(const Graph& graph, const MemoryPolicy& policy);

}  // namespace tandem
