#include "core/passes/compile.h"

#include "core/program/verify.h"

namespace tandem {

Compiled compile(Graph graph, const Target& target) {
  graph.verify();
  Storage storage = resolve_storage(graph);
  MemoryPlan plan = plan_memory(graph, storage, target);
  Program program = linearize(graph, storage, plan, target.queues);
  synchronize(program);
  verify(program, target);
  check_hazards(program);
  return {std::move(program), std::move(plan), std::move(graph), std::move(storage)};
}

}  // namespace tandem
