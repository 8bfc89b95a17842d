// From a model and a memory policy to the Program of a training step and its memory plan. No device is touched.
#pragma once

#include "core/passes/compile.h"
#include "core/passes/policy.h"
#include "core/step/step_graph.h"

namespace tandem {

// The plan may not fit the Target, as with compile(). With several ranks the Program is the same for each: see
// for_rank.
Compiled compile_step(const StepSpec& spec, const MemoryPolicy& policy, const Target& target,
                      Checks checks = Checks::with);

// The passes on the graph of a step: recompute, release, shard or quantize_late, sum_early, chunk, offload, each
// verified.
Graph apply(Graph graph, const MemoryPolicy& policy, const Sharding& sharding, const Target& target,
            Checks checks = Checks::with);

}  // namespace tandem
