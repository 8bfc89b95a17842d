#include "core/plan/compile_step.h"

#include "core/passes/chunk.h"
#include "core/passes/offload.h"
#include "core/passes/recompute.h"

namespace tandem {

Compiled compile_step(const ModelConfig& config, const Precision& precision, const RunConfig::Optimizer& optimizer,
                      const StepShape& shape, const MemoryPolicy& policy, const Target& target) {
  StepShape chunked = shape;
  if (policy.lm_head_chunks > 0) chunked.head_chunks = policy.lm_head_chunks;
  return compile(apply(build_step_graph(config, precision, optimizer, chunked), policy, target), target);
}

Graph apply(Graph graph, const MemoryPolicy& policy, const Target& target) {
  graph.verify();
  for (const auto pass : {+[](const Graph&g, const MemoryPolicy&p, const Target&) { return recompute(g, p); },
                          +[](const Graph&g, const MemoryPolicy&p, const Target&t) { return chunk(g, p, t); },
                          +[](const Graph&g, const MemoryPolicy&p, const Target&) { return offload(g, p); }}) {
    graph = pass(graph, policy, target);
    graph.verify();
  }
  return graph;
}

}  // namespace tandem
