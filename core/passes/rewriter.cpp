#include "core/passes/rewriter.h"

#include <algorithm>

namespace tandem {

Rewriter::Rewriter(const Graph& from) : from_(from), map_(from.values().size()) {
  graph_.reserve(from);
  graph_.set_ranks(from.ranks());
  graph_.set_accumulation(from.accumulation());
  for (uint32_t v = 0; v < map_.size(); ++v) {
    const Value& value = from.values()[v];
    if (value.node != UINT32_MAX) continue;
    const Scope scope(graph_, value.tag());
    map_[v] = value.lifetime == Lifetime::external ? graph_.external(value.name, value.desc, value.initial)
                                                   : graph_.variable(value.name, value.desc, value.initial);
    if (value.on_host) graph_.place_on_host(map_[v]);
    graph_.set_rows(map_[v], value.rows);
    graph_.set_segments(map_[v], value.segments);
  }
}

ValueId Rewriter::map(ValueId old) const {
  if (!old.present()) return {};
  const ValueId now = map_.at(old.index);
  TANDEM_CHECK(now.present(), "%{} is read before it is made anew", old.index);
  return now;
}

void Rewriter::inherit(ValueId old, ValueId now) {
  const Value& value = from_.values()[old.index];
  graph_.set_kind(now, value);
  if (value.rows.shared()) graph_.set_rows(now, value.rows);
  if (value.on_host) graph_.place_on_host(now);
}

void Rewriter::copy(const Node& node, const Parameters& parameters, bool with_names) {
  ValueIds inputs = node.inputs;
  for (ValueId& v : inputs) v = map(v);
  const ValueIds& outputs = emit(node, parameters, std::move(inputs), node.tag.phase);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].present()) continue;
    set(node.outputs[i], outputs[i]);
    const std::string& name = from_.values()[node.outputs[i].index].name;
    if (with_names && !name.empty()) graph_.keep(outputs[i], name);
  }
}

bool Rewriter::are_alike(const ValueIds& old, const ValueIds& now) const {
  return std::ranges::equal(old, now, [this](ValueId a, ValueId b) {
    if (!a.present() || !b.present()) return a == b;
    const Value &x = from_.values()[a.index], &y = graph_.values()[b.index];
    return x.desc == y.desc && x.rows == y.rows;
  });
}

const ValueIds& Rewriter::emit(const Node& node, const Parameters& parameters, ValueIds inputs, Phase phase) {
  if (parameters == node.parameters && are_alike(node.inputs, inputs))
    return graph_.add_like(from_, node, std::move(inputs), phase);
  Tag tag = node.tag;
  tag.phase = phase;
  const Scope scope(graph_, tag);
  switch (node.form) {
    case Form::fill:
      if (inputs.empty()) graph_.zeros(node.range, from_.desc(node.outputs[0]), node.label);
      else graph_.zeros_onto(node.range, inputs[0], node.label);
      break;
    case Form::slice:
      graph_.slice(node.range, inputs[0], node.first_row, from_.desc(node.outputs[0]).shape[0]);
      break;
    case Form::concat:
      graph_.concat(node.range, std::move(inputs));
      break;
    case Form::copy:
      graph_.copy(node.range, inputs[0], inputs.size() > 1 ? inputs[1] : ValueId{}, node.label);
      break;
    case Form::rank_slice:
      graph_.rank_slice(node.range, inputs[0]);
      break;
    case Form::all_gather:
      if (node.in_place == 0 && !from_.values()[node.outputs[0].index].rows.shared()) {
        graph_.all_gather(node.range, std::move(inputs), node.label);
        break;
      }
      [[fallthrough]];
    case Form::all_to_all:
    case Form::all_reduce_max: {
      Descs descs;
      for (ValueId v : node.outputs) descs.push_back(from_.desc(v));
      graph_.collective(node.range, node.form, std::move(descs), std::move(inputs), node.in_place, node.label);
      break;
    }
    case Form::dispatch:
      graph_.add(node.range, node.op, parameters, std::move(inputs), node.label);
  }
  const ValueIds& outputs = graph_.nodes().back().outputs;
  for (size_t i = 0; i < outputs.size(); ++i)
    if (outputs[i].present() && node.outputs[i].present()) inherit(node.outputs[i], outputs[i]);
  return outputs;
}

}  // namespace tandem
