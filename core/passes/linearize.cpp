#include <algorithm>

#include "core/passes/compile.h"

namespace tandem {
namespace {

class Linearizer {
 public:
  Linearizer(const Graph& graph, const Storage& storage, const MemoryPlan& plan, QueueSet queues)
      : graph_(graph), storage_(storage), plan_(plan), queues_(queues) {}

  Program run() {
    Program program;
    program.arenas = plan_.arenas;
    for (uint32_t v = 0; v < graph_.values().size(); ++v)
      if (const Value& value = graph_.values()[v]; !value.name.empty())
        program.bindings.push_back({value.name, value.desc, buffer({v}), value.initial});
    for (const Node& node : graph_.nodes()) {
      if (!node.is_instruction()) continue;
      program.ranges[size_t(node.range)].push_back({queue_of(node), command(node), node.label});
    }
    return program;
  }

 private:
  BufferRef buffer(ValueId v) const {
    const Place& place = storage_.places[v.index];
    const BufferRef& root = plan_.buffers[storage_.root_of[place.root]];
    return {root.arena, root.offset + place.offset, graph_.desc(v).bytes()};
  }

  Queue queue_of(const Node& node) const {
    if (node.form != Form::copy) return Queue::compute;
    const bool to_host = storage_.roots[storage_.root_of[storage_.places[node.outputs[0].index].root]].host;
    return queue_for(to_host ? Queue::out : Queue::in, queues_);
  }

  Command command(const Node& node) const {
    if (node.form == Form::fill) return Fill{buffer(node.outputs[0])};
    if (node.form == Form::copy) return Copy{buffer(node.inputs[0]), buffer(node.outputs[0])};
    return dispatch(node);
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
    if (node.workspace.present()) d.workspace = buffer(node.workspace);
    return d;
  }

  const Graph& graph_;
  const Storage& storage_;
  const MemoryPlan& plan_;
  QueueSet queues_;
};

}  // namespace

Program linearize(const Graph& graph, const Storage& storage, const MemoryPlan& plan, QueueSet queues) {
  return Linearizer(graph, storage, plan, queues).run();
}

}  // namespace tandem
