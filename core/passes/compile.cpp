#include "core/passes/compile.h"

#include "core/program/verify.h"

namespace tandem {

Compiled compile(Graph graph, const Target& target, Checks checks) {
  if (checks == Checks::with) graph.verify();
  Storage storage = resolve_storage(graph);
  MemoryPlan plan = plan_memory(graph, storage, target);
  Program program = linearize(graph, storage, plan, target.queues);
  synchronize(program);
  if (checks == Checks::with) {
    verify(program, target);
    check_hazards(program);
  }
  return {std::move(program), std::move(plan), std::move(graph), std::move(storage)};
}

}  // namespace tandem
