#include "core/passes/compile.h"

#include "core/program/verify.h"
#include "core/program/verify_ranks.h"

namespace tandem {
namespace {

void give_workspaces(Graph& graph, const Target& target) {
  for (uint32_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    if (!node.has_kernel()) continue;
    const uint64_t bytes = target.workspace(node.op, node.parameters, graph.operands_of(node));
    if (bytes > 0) graph.give_workspace(n, bytes);
  }
}

}  // namespace

void verify_whole(const Program& program, const Target& target) {
  verify(program, target);
  check_hazards(program);
  if (program.ranks > 1) verify_ranks(program);
}

Compiled compile(Graph graph, const Target& target, Checks checks) {
  if (checks == Checks::with) graph.verify();
  give_workspaces(graph, target);
  Storage storage = resolve_storage(graph);
  MemoryPlan plan = plan_memory(graph, storage, target);
  Program program = linearize(graph, storage, plan, target.queues);
  synchronize(program);
  if (checks == Checks::with && plan.fits()) verify_whole(program, target);
  return {std::move(program), std::move(plan), std::move(graph), std::move(storage)};
}

Compiled compile_to_run(Graph graph, const Target& target) {
  Compiled compiled = compile(std::move(graph), target);
  require_fits(compiled.memory);
  return compiled;
}

}  // namespace tandem
