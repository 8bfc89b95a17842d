// Roots of a graph's values, which plan_memory places, and between which instructions they live.
#pragma once

#include "core/graph/places.h"

namespace tandem {

// Instructions of a range, by their position in it, between which the root's bytes hold something.
struct LiveRange {
  Range range = Range::begin;
  uint32_t first = 0, last = 0;
};

struct Root {
  uint32_t value = 0;
  uint64_t bytes = 0;
  bool persistent = false;  // variable, kept, on the host, or used in several ranges: its bytes are its own
  bool host = false;        // external, or placed there
  bool staging = false;     // a copy made it: apart from what dispatches make
  bool workspace = false;   // a node's scratch
  LiveRange live;           // a transient's

  // True for what shares bytes over time, among what copies make or among the rest.
  bool is_transient(bool of_copies) const { return !persistent && !host && staging == of_copies; }
};

struct Storage {
  std::vector<Place> places;  // by value
  std::vector<Root> roots;
  std::vector<uint32_t> root_of;  // root value's index -> index in roots, UINT32_MAX for other values
};

Storage resolve_storage(const Graph& graph);

}  // namespace tandem
