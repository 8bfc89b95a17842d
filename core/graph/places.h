// The bytes that a value lives in. In-place outputs share their input's bytes, a slice names part of its input's, the
// parts of a concat name part of its output's; the value at the end of that chain is the root.
#pragma once

#include "core/graph/graph.h"

namespace tandem {

struct Place {
  uint32_t root = 0;         // a value's index
  uint64_t offset = 0;       // bytes from the root's start, on rank 0
  uint64_t rank_stride = 0;  // bytes from a rank's place to the next one's
};

// By value. Exit::internal if a part of a concat has a place already.
std::vector<Place> places_of(const Graph& graph);

}  // namespace tandem
