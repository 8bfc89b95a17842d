#include "core/passes/compile.h"

#include "core/program/verify.h"

namespace tandem {

Compiled compile(const Graph& graph, const Target& target) {
  graph.verify();
  const Storage storage = resolve_storage(graph);
  MemoryPlan plan = plan_memory(graph, storage, target);
  Program program = linearize(graph, storage, plan);
  synchronize(program);
  verify(program, target);
  check_hazards(program);
  return {std::move(program), std::move(plan)};
}

}  // namespace tandem
