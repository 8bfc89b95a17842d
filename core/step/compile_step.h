// From a model and a memory policy to the Program of a training step and its memory plan. No device is touched.
#pragma once

#include "core/passes/compile.h"
#include "core/passes/policy.h"
#include "core/step/step_graph.h"

namespace tandem {

// Exit::does_not_fit, naming the largest live values, when the plan takes more than target.memory_bytes on the device.
Compiled compile_step(const ModelConfig& config, const Precision& precision, const OptimizerOptions& optimizer,
                      const StepShape& shape, const MemoryPolicy& policy, const Target& target,
                      Checks checks = Checks::with);

// The policy's passes on the graph of a step: recompute, chunk, offload, each verified.
Graph apply(Graph graph, const MemoryPolicy& policy, const Target& target, Checks checks = Checks::with);

}  // namespace tandem
