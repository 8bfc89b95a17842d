// Graph -> Program: workspaces, storage, plan_memory, linearize, synchronize. The graph is verified before, the Program
// and its hazards after.
#pragma once

#include "core/passes/plan_memory.h"

namespace tandem {

struct Compiled {
  Program program;
  MemoryPlan memory;
  // what the plan's buffers hold: memory.buffers[r] is storage.roots[r], whose value carries kind and layer
  Graph graph;
  Storage storage;
};

// without: for estimates, whose Programs never run
enum class Checks : uint8_t { with, without };

// All checks of a Program that will run: verify, check_hazards and, for several ranks, verify_ranks.
void verify_whole(const Program& program, const Target& target);

// The plan may not fit the Target: then the Program is not checked and cannot be loaded.
Compiled compile(Graph graph, const Target& target, Checks checks = Checks::with);
// Exit::does_not_fit where the plan does not fit.
Compiled compile_to_run(Graph graph, const Target& target);

// The instructions in the graph's order, range by range, with no order between them yet. Copies run on the
// queues for them, as far as there are some.
Program linearize(const Graph& graph, const Storage& storage, const MemoryPlan& plan, QueueSet queues);

// Puts an order between instructions that touch the same bytes, one of them writing: a barrier on their queue, or
// between two queues a signal right behind the earlier and a wait before the later. Ranges are ordered by their
// submission.
void synchronize(Program& program);

}  // namespace tandem
