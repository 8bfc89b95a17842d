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
    program.ranks = graph_.ranks();
    program.arenas = plan_.arenas;
    for (uint32_t v = 0; v < graph_.values().size(); ++v)
      if (const Value& value = graph_.values()[v]; !value.name.empty())
        program.bindings.push_back({value.name, value.desc, memory({v}), value.initial, value.rows});
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
    return {root.arena, root.offset + place.offset, graph_.desc(v).bytes(), place.rank_stride};
  }

  // With the rows behind those that exist, which are zeros.
  BufferRef memory(ValueId v) const {
    BufferRef whole = buffer(v);
    whole.bytes = graph_.memory_bytes(v);
    return whole;
  }

  Queue queue_of(const Node& node) const {
    if (node.is_collective()) return queue_for(Queue::exchange, queues_);
    if (node.form != Form::copy) return Queue::compute;
    const bool to_host = storage_.roots[storage_.root_of[storage_.places[node.outputs[0].index].root]].host;
    return queue_for(to_host ? Queue::out : Queue::in, queues_);
  }

  Command command(const Node& node) const {
    if (node.is_collective()) return collective(node);
    if (node.form == Form::fill) return Fill{memory(node.outputs[0])};
    if (node.form == Form::copy) return Copy{buffer(node.inputs[0]), buffer(node.outputs[0])};
    return dispatch(node);
  }

  Collective collective(const Node& node) const {
    Collective c;
    c.kind = node.form == Form::all_gather   ? CollectiveKind::all_gather
             : node.form == Form::all_to_all ? CollectiveKind::all_to_all
                                             : CollectiveKind::all_reduce_max;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      Part from{buffer(node.inputs[i]), 0};
      const BufferRef to = memory(node.outputs[i]);
      if (node.form == Form::all_to_all) from.stride = from.buffer.bytes = to.bytes / graph_.ranks();
      if (!c.to.empty() && extends(c, from, to)) {
        c.from.back().buffer.bytes += from.buffer.bytes;
        c.to.back().bytes += to.bytes;
      } else {
        c.from.push_back(from);
        c.to.push_back(to);
      }
    }
    return c;
  }

  // Words that stand side by side are reduced as one.
  static bool extends(const Collective& c, const Part& from, const BufferRef& to) {
    const auto behind = [](const BufferRef& a, const BufferRef& b) {
      return a.arena == b.arena && a.offset + a.bytes == b.offset;
    };
    return c.kind == CollectiveKind::all_reduce_max && behind(c.from.back().buffer, from.buffer) &&
           behind(c.to.back(), to);
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
