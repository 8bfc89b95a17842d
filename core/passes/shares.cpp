#include "core/passes/shares.h"

#include <algorithm>

#include "core/passes/stages.h"

namespace tandem {

Shares::Shares(const Graph& graph, const Sharding& sharding, const MemoryPolicy& policy)
    : stages(stages_of(graph)), places_(places_of(graph)) {
  for (const Node& node : graph.nodes())
    if (node.range == Range::update && updates_by_rank(node)) add_parameter(graph, node, sharding.ranks);
  add_sources(graph, sharding, policy);
  find_uses(graph, policy.gather_distance);
}

void Shares::add_parameter(const Graph& graph, const Node& node, uint32_t ranks) {
  SharedParameter p;
  for (ValueId v : node.inputs) {
    if (!v.present()) continue;
    const Kind kind = graph.values()[root_of(v)].kind;
    if (kind == Kind::parameter) p.value = v;
    if (kind != Kind::gradient) continue;
    p.gradient = root_of(v);
    p.last_gradient = v;
  }
  TANDEM_CHECK(p.value.present() && p.last_gradient.present(), "{} updates no parameter", node.label);
  const Shape& shape = graph.desc(p.value).shape;
  if (shape.rank() > 1) p.rows = {shape[0], shard_rows(shape[0], ranks), false};
  for (size_t i = node.inputs.size() - node.in_place; i < node.inputs.size(); ++i)
    if (p.matrix() && node.inputs[i].present() && node.inputs[i] != p.value &&
        graph.desc(node.inputs[i]).shape[0] == shape[0])
      states.emplace_back(node.inputs[i], p.rows);
  by_value_[root_of(p.value)] = by_gradient_[p.gradient] = parameters.size();
  parameters.push_back(p);
}

void Shares::add_sources(const Graph& graph, const Sharding& sharding, const MemoryPolicy& policy) {
  for (const SharedParameter& p : parameters)
    if (p.matrix()) add_source(p.value, {}, p, sharding.zero == 3);
  for (const Node& node : graph.nodes()) {
    if (node.range != Range::begin || !is_by_rows(node) || op_of(node.op).on_rows(0) != OnRows::rows) continue;
    ValueId transposed;
    for (size_t i = 1; i < node.outputs.size(); ++i)
      if (op_of(node.op).on_rows(i) == OnRows::columns) transposed = node.outputs[i];
    const bool resident = policy.weights_of(node.tag.layer) == Weights::resident;
    add_source(node.outputs[0], transposed, *parameter_of(node.inputs[0]), sharding.zero == 3 && !resident);
  }
}

void Shares::add_source(ValueId value, ValueId transposed, const SharedParameter& p, bool gathered) {
  const uint32_t index = uint32_t(sources.size());
  sources.push_back({value, transposed, p.rows, gathered});
  source_of_[value.index] = index;
  if (transposed.present()) source_of_[transposed.index] = index;
}

void Shares::find_uses(const Graph& graph, uint32_t gather_distance) {
  LastUses last_uses;
  for (uint32_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    ends[size_t(node.range)] = n;
    if (node.range == Range::micro_step || node.range == Range::evaluate)
      for (ValueId v : node.inputs)
        if (const auto source = source_of(v)) use(*source, node.range, stages[n], gather_distance, last_uses);
    if (node.range != Range::micro_step) continue;
    for (ValueId v : std::span(node.inputs).last(node.in_place)) {
      const auto owner = v.present() ? by_gradient_.find(root_of(v)) : by_gradient_.end();
      if (owner != by_gradient_.end()) parameters[owner->second].last_sum = n;
    }
  }
}

// A parameter that steps read is whole somewhere: on each rank, or where it is gathered. Uses near each other share one
// gather.
void Shares::use(uint32_t index, Range range, uint32_t stage, uint32_t gather_distance, LastUses& last_uses) {
  const SharedSource& source = sources[index];
  if (const auto found = by_value_.find(source.value.index); found != by_value_.end())
    parameters[found->second].whole = !source.gathered;
  if (!source.gathered) return;
  const auto [last, first_use] = last_uses.try_emplace({index, range}, stage);
  const uint32_t before = std::exchange(last->second, stage);
  if (!first_use && stage - before <= 2 * gather_distance) return;
  gathers[{range, stage - std::min(stage, gather_distance)}].push_back(index);
}

const SharedParameter* Shares::find(const std::map<uint32_t, size_t>& by_root, ValueId v) const {
  const auto found = by_root.find(root_of(v));
  return found == by_root.end() ? nullptr : &parameters[found->second];
}

std::optional<uint32_t> Shares::source_of(ValueId v) const {
  const auto found = v.present() ? source_of_.find(v.index) : source_of_.end();
  return found == source_of_.end() ? std::nullopt : std::optional(found->second);
}

bool Shares::is_by_rows(const Node& node) const {
  if (!node.has_kernel() || !node.inputs[0].present()) return false;
  const SharedParameter* p = parameter_of(node.inputs[0]);
  return p && p->matrix() && op_of(node.op).on_rows(0) != OnRows::none;
}

}  // namespace tandem
