#include <algorithm>

#include "core/passes/compile.h"

namespace tandem {
namespace {

// What a Program is written from: values, and the bytes that they live in.
struct Placed {
  const Graph& graph;
  const Storage& storage;
  const MemoryPlan& plan;

  BufferRef buffer(ValueId v) const {
    const Place& place = storage.places[v.index];
    const BufferRef& root = plan.buffers[storage.root_of[place.root]];
    return {root.arena, root.offset + place.offset, graph.desc(v).bytes(), place.rank_stride};
  }

  // With the rows behind those that exist, which are zeros.
  BufferRef memory(ValueId v) const {
    BufferRef whole = buffer(v);
    whole.bytes = graph.memory_bytes(v);
    return whole;
  }

  Operand operand(ValueId v, Access access) const {
    return v.present() ? Operand{graph.desc(v), buffer(v), access} : Operand{};
  }
};

Queue role_of(const Placed& placed, const Node& node) {
  if (node.is_collective()) return Queue::exchange;
  if (node.form != Form::copy) return Queue::compute;
  const Storage& storage = placed.storage;
  const uint32_t root = storage.root_of[storage.places[node.outputs[0].index].root];
  return storage.roots[root].host ? Queue::out : Queue::in;
}

Dispatch dispatch_of(const Placed& placed, const Node& node) {
  Dispatch d{node.op, node.parameters, {}};
  d.operands.reserve(node.inputs.size() + node.outputs.size());
  for (size_t i = 0; i + node.in_place < node.inputs.size(); ++i)
    d.operands.push_back(placed.operand(node.inputs[i], Access::read));
  for (uint32_t i = 0; i < node.outputs.size(); ++i) {
    const bool in_place = i >= node.first_output && i < node.first_output + node.in_place;
    d.operands.push_back(
        placed.operand(node.outputs[i], in_place && !node.replaces ? Access::read_write : Access::write));
  }
  if (node.workspace.present()) d.workspace = placed.buffer(node.workspace);
  return d;
}

void overwrite(Dispatch& dispatch) {
  dispatch.parameters = *op_of(dispatch.op).onto_zeros(dispatch.parameters);
  dispatch.operands.back().access = Access::write;
}

// True if each submission of a range runs both or neither.
bool run_together(const Graph& graph, const Node& a, const Node& b) {
  return a.range == b.range && (a.tag.when == b.tag.when || graph.accumulation() == 1);
}

// By node: zeros that one product alone adds to, in the same submissions, and that product. They are not made: the
// product overwrites what was there, with the same bits.
std::vector<bool> spared_zeros(const Graph& graph) {
  std::vector<uint32_t> uses(graph.values().size());
  for (const Node& node : graph.nodes())
    for (ValueId v : node.inputs)
      if (v.present()) ++uses[v.index];
  std::vector<bool> spared(graph.nodes().size());
  for (uint32_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    if (!node.has_kernel() || node.in_place != 1 || !op_of(node.op).onto_zeros) continue;
    const ValueId onto = node.inputs.back();
    const uint32_t made = graph.values()[onto.index].node;
    if (made == UINT32_MAX || graph.nodes()[made].form != Form::fill || !run_together(graph, graph.nodes()[made], node))
      continue;
    const bool whole = graph.memory_bytes(onto) == graph.desc(onto).bytes();
    if (uses[onto.index] == 1 && whole && op_of(node.op).onto_zeros(node.parameters)) spared[made] = spared[n] = true;
  }
  return spared;
}

// True if the words stand right behind the collective's last ones: they are reduced as one.
bool extends(const Collective& c, const Part& from, const BufferRef& to) {
  const auto behind = [](const BufferRef& a, const BufferRef& b) {
    return a.arena == b.arena && a.offset + a.bytes == b.offset;
  };
  return c.kind == CollectiveKind::all_reduce_max && !c.to.empty() && behind(c.from.back().buffer, from.buffer) &&
         behind(c.to.back(), to);
}

Collective collective_of(const Placed& placed, const Node& node) {
  Collective c;
  c.kind = node.form == Form::all_gather   ? CollectiveKind::all_gather
           : node.form == Form::all_to_all ? CollectiveKind::all_to_all
                                           : CollectiveKind::all_reduce_max;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    Part from{placed.buffer(node.inputs[i]), 0};
    const BufferRef to = placed.memory(node.outputs[i]);
    if (node.form == Form::all_to_all) from.stride = from.buffer.bytes = to.bytes / placed.graph.ranks();
    if (extends(c, from, to)) {
      c.from.back().buffer.bytes += from.buffer.bytes;
      c.to.back().bytes += to.bytes;
    } else {
      c.from.push_back(from);
      c.to.push_back(to);
    }
  }
  return c;
}

Command command_of(const Placed& placed, const Node& node) {
  if (node.is_collective()) return collective_of(placed, node);
  if (node.form == Form::fill) return Fill{placed.memory(node.outputs[0])};
  if (node.form == Form::copy) return Copy{placed.buffer(node.inputs[0]), placed.buffer(node.outputs[0])};
  return dispatch_of(placed, node);
}

}  // namespace

Program linearize(const Graph& graph, const Storage& storage, const MemoryPlan& plan, QueueSet queues) {
  const Placed placed{graph, storage, plan};
  Program program;
  program.ranks = graph.ranks();
  program.arenas = plan.arenas;
  for (uint32_t v = 0; v < graph.values().size(); ++v)
    if (const Value& value = graph.values()[v]; !value.name.empty())
      program.bindings.push_back({value.name, value.desc, placed.memory({v}), value.initial, value.rows});
  const std::vector<bool> spared = spared_zeros(graph);
  for (size_t r = 0; r < kRangeCount; ++r)
    program.ranges[r].reserve(size_t(std::ranges::count(graph.nodes(), Range(r), &Node::range)));
  std::array<bool, kRangeCount> backward{};
  for (uint32_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    if (!node.is_instruction() || (spared[n] && node.form == Form::fill)) continue;
    if (node.tag.phase != Phase::forward) backward[size_t(node.range)] = true;
    Command command = command_of(placed, node);
    if (spared[n]) overwrite(std::get<Dispatch>(command));
    program.ranges[size_t(node.range)].push_back({queue_for(role_of(placed, node), queues), std::move(command),
                                                  node.label, node.tag.when, backward[size_t(node.range)]});
  }
  program.schedule = schedule_of(program, graph.accumulation());
  return program;
}

}  // namespace tandem
