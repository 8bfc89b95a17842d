// Graph -> Program: storage, plan_memory, linearize, synchronize, each followed by its check.
#pragma once

#include "core/passes/plan_memory.h"

namespace tandem {

struct Compiled {
  Program program;
  MemoryPlan memory;
};

Compiled compile(const Graph& graph, const Target& target);

// The instructions in the graph's order, range by range, on one queue and with no barrier yet.
Program linearize(const Graph& graph, const Storage& storage, const MemoryPlan& plan);

// Puts a barrier before each instruction that touches bytes which an earlier one since the last barrier wrote, or
// writes bytes that one touched. Ranges are ordered by their submission.
void synchronize(Program& program);

}  // namespace tandem
