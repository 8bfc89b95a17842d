#include <algorithm>

#include "core/passes/compile.h"

namespace tandem {
namespace {

class Linearizer {
 public:
  Linearizer(const Graph& graph, const Storage& storage, const MemoryPlan& plan)
      : graph_(graph), storage_(storage), plan_(plan) {}

  Program run() {
    Program program;
    program.arenas = plan_.arenas;
    for (uint32_t v = 0; v < graph_.values().size(); ++v)
      if (const Value& value = graph_.values()[v]; !value.name.empty())
        program.bindings.push_back({value.name, value.desc, buffer({v})});
    for (const Node& node : graph_.nodes()) {
      if (node.op == OpId::slice || node.op == OpId::concat) continue;
      Command command = node.op == OpId::zeros ? Command(Fill{buffer(node.outputs[0])}) : Command(dispatch(node));
      program.ranges[size_t(node.range)].push_back({0, std::move(command), node.label});
    }
    return program;
  }

 private:
  BufferRef buffer(ValueId v) const {
    const Place& place = storage_.places[v.index];
    const BufferRef& root = plan_.buffers[storage_.root_of[place.root]];
    return {root.arena, root.offset + place.offset, graph_.desc(v).bytes()};
  }

  Operand operand(ValueId v, Access access) const {
    return v.present() ? Operand{graph_.desc(v), buffer(v), access} : Operand{};
  }

  Dispatch dispatch(const Node& node) const {
    Dispatch d{node.op, node.parameters, {}};
    for (size_t i = 0; i + node.in_place < node.inputs.size(); ++i)
      d.operands.push_back(operand(node.inputs[i], Access::read));
    for (uint32_t i = 0; i < node.outputs.size(); ++i) {
      const bool in_place = i >= node.first_output && i < node.first_output + node.in_place;
      d.operands.push_back(operand(node.outputs[i], in_place ? Access::read_write : Access::write));
    }
    return d;
  }

  const Graph& graph_;
  const Storage& storage_;
  const MemoryPlan& plan_;
};

}  // namespace

Program linearize(const Graph& graph, const Storage& storage, const MemoryPlan& plan) {
  return Linearizer(graph, storage, plan).run();
}

}  // namespace tandem
