// Moves what a step keeps to the host between its uses: a prefetch before the first use of a run of them, an evict
// behind the last one where they wrote.
#pragma once

#include "core/passes/policy.h"

namespace tandem {

// Uses are counted in stages: a layer's forward or backward pass, or in begin and update one node. A prefetch is issued
// policy.prefetch_distance stages ahead (update_distance in begin and update), and an evict's memory is free again that
// many stages later; uses too near each other for both share one stay on the device. Vectors (norm weights, biases)
// stay there too: copying them would cost more than it frees.
Graph offload(const Graph& graph, const MemoryPolicy& policy);

}  // namespace tandem
