#include "core/step/compile_step.h"

#include <algorithm>

#include "core/passes/chunk.h"
#include "core/passes/offload.h"
#include "core/passes/quantize_late.h"
#include "core/passes/recompute.h"
#include "core/passes/release.h"
#include "core/passes/shard.h"
#include "core/passes/sum_early.h"

namespace tandem {

Compiled compile_step(const StepSpec& spec, const MemoryPolicy& policy, const Target& target, Checks checks) {
  StepSpec chunked = spec;
  if (policy.lm_head_chunks > 0) chunked.shape.head_chunks = policy.lm_head_chunks;
  if (spec.lora.on() && spec.precision.fp8())
    for (uint32_t layer = 0; layer < spec.model.layers; ++layer)
      chunked.remade_transposes.push_back(policy.copies_of(layer) == Copies::transposed);
  return compile(apply(build_step_graph(chunked), policy, spec.sharding, target, checks), target, checks);
}

Graph apply(Graph graph, const MemoryPolicy& policy, const Sharding& sharding, const Target& target, Checks checks) {
  const auto verify = [&] {
    if (checks == Checks::with) graph.verify();
  };
  const auto empty = [](const auto& set) { return set.empty(); };
  const bool remakes = std::ranges::any_of(policy.copies, [](Copies c) { return c != Copies::kept; });
  verify();
  if (remakes || !std::ranges::all_of(policy.recompute, empty)) graph = recompute(graph, policy);
  verify();
  if (policy.release != Release::none) graph = release(graph, policy.release);
  verify();
  graph = sharding.ranks > 1 ? shard(graph, sharding, policy) : quantize_late(graph);
  verify();
  graph = sum_early(graph);
  verify();
  if (policy.attention_chunks > 1 || policy.optimizer_chunk > 0) graph = chunk(graph, policy, target);
  verify();
  if (!policy.offload_outside.empty() || !std::ranges::all_of(policy.offload, empty)) graph = offload(graph, policy);
  verify();
  return graph;
}

}  // namespace tandem
