// Clones nodes next to the uses of what they make, in place of keeping it until then.
#pragma once

#include "core/passes/policy.h"

namespace tandem {

// Activations of the micro-step, for its backward pass: clones read what the policy keeps, down to each layer's input,
// and the forward pass's own amax, so that no bit changes; each value is made again once, and lives on from there. The
// forward nodes then make no copy that only the backward pass would have read.
// fp8 copies of parameters where the policy has them remade: once for each pass over their layer, from the step's one
// amax; where it has them transposed, from the codes, for the backward pass.
Graph recompute(const Graph& graph, const MemoryPolicy& policy);

}  // namespace tandem
