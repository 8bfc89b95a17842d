// Weights are quantized in the first micro-step, each in front of its first use there, in place of in begin, and so are
// they for an evaluation: where weights lie on the host, they come beside the products of the layers before.
#pragma once

#include "core/graph/graph.h"

namespace tandem {

// A graph for one rank: several exchange what begin quantizes.
Graph quantize_late(const Graph& graph);

}  // namespace tandem
