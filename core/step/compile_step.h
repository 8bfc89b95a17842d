// From a model and a memory policy to the Program of a training step and its memory plan. No device is touched.
#pragma once

#include "core/passes/compile.h"
#include "core/passes/policy.h"
#include "core/step/step_graph.h"

namespace tandem {

// Exit::does_not_fit, naming the largest live values, when the plan takes more than target.memory_bytes on the device.
// With several ranks the Program is the same for each: see for_rank.
Compiled compile_step(const StepSpec& spec, const MemoryPolicy& policy, const Target& target,
                      Checks checks = Checks::with);

// The passes on the graph of a step: recompute, shard, chunk, offload, each verified.
Graph apply(Graph graph, const MemoryPolicy& policy, const Sharding& sharding, const Target& target,
            Checks checks = Checks::with);

}  // namespace tandem
