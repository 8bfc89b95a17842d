// Sums of squares of gradients, for their norm, are taken in the last micro-step, right behind what finishes each
// gradient: it is on the device then, and the sum neither waits for a copy nor holds up the update.
#pragma once

#include "core/graph/graph.h"

namespace tandem {

Graph sum_early(const Graph& graph);

}  // namespace tandem
