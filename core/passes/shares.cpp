#include "core/passes/shares.h"

#include <algorithm>

#include "core/passes/stages.h"

namespace tandem {

Shares::Shares(const Graph& graph, const Sharding& sharding, const MemoryPolicy& policy)
    : stages(stages_of(graph)), graph_(graph), sharding_(sharding), policy_(policy), places_(places_of(graph)) {
  for (const Node& node : graph.nodes())
    if (node.range == Range::update && updates_by_rank(node)) add_parameter(node);
  add_sources();
  find_uses();
}

void Shares::add_parameter(const Node& node) {
  SharedParameter p;
  for (ValueId v : node.inputs) {
    if (!v.present()) continue;
    const Kind kind = graph_.values()[root_of(v)].kind;
    if (kind == Kind::parameter) p.value = v;
    if (kind != Kind::gradient) continue;
    p.gradient = root_of(v);
    p.last_gradient = v;
  }
  TANDEM_CHECK(p.value.present() && p.last_gradient.present(), "{} updates no parameter", node.label);
  const Shape& shape = graph_.desc(p.value).shape;
  if (shape.rank() > 1) p.rows = {shape[0], shard_rows(shape[0], sharding_.ranks), false};
  for (size_t i = node.inputs.size() - node.in_place; i < node.inputs.size(); ++i)
    if (p.matrix() && node.inputs[i].present() && node.inputs[i] != p.value &&
        graph_.desc(node.inputs[i]).shape[0] == shape[0])
      states.emplace_back(node.inputs[i], p.rows);
  by_value_[root_of(p.value)] = by_gradient_[p.gradient] = parameters.size();
  parameters.push_back(p);
}

void Shares::add_sources() {
  for (const SharedParameter& p : parameters)
    if (p.matrix()) add_source(p.value, {}, p, sharding_.zero == 3);
  for (const Node& node : graph_.nodes()) {
    if (node.range != Range::begin || !is_by_rows(node) || op_of(node.op).on_rows(0) != OnRows::rows) continue;
    ValueId transposed;
    for (size_t i = 1; i < node.outputs.size(); ++i)
      if (op_of(node.op).on_rows(i) == OnRows::columns) transposed = node.outputs[i];
    const bool resident = policy_.weights_of(node.tag.layer) == Weights::resident;
    add_source(node.outputs[0], transposed, *parameter_of(node.inputs[0]), sharding_.zero == 3 && !resident);
  }
}

void Shares::add_source(ValueId value, ValueId transposed, const SharedParameter& p, bool gathered) {
  const uint32_t index = uint32_t(sources.size());
  sources.push_back({value, transposed, p.rows, gathered});
  source_of_[value.index] = index;
  if (transposed.present()) source_of_[transposed.index] = index;
}

void Shares::find_uses() {
  for (uint32_t n = 0; n < graph_.nodes().size(); ++n) {
    const Node& node = graph_.nodes()[n];
    ends[size_t(node.range)] = n;
    if (node.range == Range::micro_step || node.range == Range::evaluate)
      for (ValueId v : node.inputs)
        if (const auto source = source_of(v)) use(*source, node.range, stages[n]);
    if (node.range != Range::micro_step) continue;
    for (size_t i = node.inputs.size() - node.in_place; i < node.inputs.size(); ++i)
      if (node.inputs[i].present() && owner_of_gradient(node.inputs[i])) last_sum_[root_of(node.inputs[i])] = n;
  }
}

// A parameter that steps read is whole somewhere: on each rank, or where it is gathered. Uses near each other share one
// gather.
void Shares::use(uint32_t index, Range range, uint32_t stage) {
  const SharedSource& source = sources[index];
  if (const auto found = by_value_.find(source.value.index); found != by_value_.end())
    parameters[found->second].whole = !source.gathered;
  if (!source.gathered) return;
  const auto [last, first_use] = last_use_.try_emplace({index, range}, stage);
  const uint32_t ahead = policy_.gather_distance, before = std::exchange(last->second, stage);
  if (!first_use && stage - before <= 2 * ahead) return;
  gathers[{range, stage - std::min(stage, ahead)}].push_back(index);
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
