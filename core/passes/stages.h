// Stages of a range: what passes count distances in. A layer's forward or backward pass, or in begin and update one
// node, or all nodes of one parameter that an optimizer updates by several (Kind::direction). An update that
// stands outside of layers in another range is a stage too, so that its parts (optimizer_chunk) stream.
#pragma once

#include <vector>

#include "core/graph/graph.h"

namespace tandem {

// By node: its stage, counted in its range.
std::vector<uint32_t> stages_of(const Graph& graph);

}  // namespace tandem
