#include "core/graph/backward.h"

#include <algorithm>

#include "core/abi/add.h"
#include "core/abi/gemm.h"

namespace tandem {

ValueId sum(Graph& graph, Range range, ValueId a, ValueId b) {
  return graph.add(range, OpId::add, Parameters(abi::Add{}), {a, b})[0];
}

ValueId ReverseMode::cotangent(ValueId value) const {
  const auto found = cotangents_.find(value.index);
  return found == cotangents_.end() ? ValueId{} : found->second.value;
}

void ReverseMode::add(ValueId value, ValueId cotangent) {
  if (!value.present() || !cotangent.present() || frozen_.contains(value.index)) return;
  Cotangent& all = cotangents_[value.index];
  all.value = all.terms++ == 0 ? cotangent : sum(graph_, range_, all.value, cotangent);
}

bool ReverseMode::wants_cotangent(ValueId value) const {
  return graph_.values()[value.index].lifetime == Lifetime::transient && !frozen_.contains(value.index);
}

bool ReverseMode::may_overwrite(ValueId cotangent) const {
  for (ValueId v = cotangent; v.present(); v = graph_.source_of(v)) {
    const Value& value = graph_.values()[v.index];
    if (value.node == UINT32_MAX || !value.name.empty()) return false;
    const Node& maker = graph_.nodes()[value.node];
    if (maker.range != range_ || maker.tag.when != When::each) return false;
  }
  return true;
}

ValueId ReverseMode::only_term(ValueId value) const {
  const auto found = cotangents_.find(value.index);
  if (found == cotangents_.end() || found->second.terms != 1) return {};
  const ValueId term = found->second.value;
  if (!may_overwrite(term)) return {};
  const auto same = [&](const auto& entry) { return !entry.second.read && entry.second.value.index == term.index; };
  return std::ranges::count_if(cotangents_, same) == 1 ? term : ValueId{};  // a sum hands one cotangent to both
}

ValueId ReverseMode::parameter_of(ValueId value) const {
  const auto found = stands_for_.find(value.index);
  return found == stands_for_.end() ? value : found->second;
}

void ReverseMode::set_accumulator(ValueId parameter, ValueId accumulator) {
  accumulators_[parameter.index] = accumulator;
}

void ReverseMode::add_up(ValueId parameter, DType dtype, std::string name) {
  added_up_[parameter.index] = {{dtype, graph_.desc(parameter).shape}, std::move(name)};
}

bool ReverseMode::has_accumulator(ValueId value) const {
  if (!value.present()) return false;
  const uint32_t parameter = parameter_of(value).index;
  return accumulators_.contains(parameter) || added_up_.contains(parameter);
}

ValueId ReverseMode::accumulator(ValueId value) {
  const ValueId parameter = parameter_of(value);
  const auto [found, fresh] = accumulators_.try_emplace(parameter.index);
  if (fresh) found->second = zeros_of(parameter);
  return found->second;
}

ValueId ReverseMode::zeros_of(ValueId parameter) {
  const auto& [desc, name] = added_up_.at(parameter.index);
  const Scope scope(graph_, {.kind = Kind::gradient,
                             .layer = graph_.values()[parameter.index].layer,
                             .phase = Phase::backward,
                             .when = When::first});
  const ValueId zeros = graph_.zeros(range_, desc, name);
  graph_.keep(zeros, name);
  return zeros;
}

void ReverseMode::update_accumulator(ValueId value, ValueId accumulated) {
  accumulators_.at(parameter_of(value).index) = accumulated;
}

void ReverseMode::stands_for(ValueId copy, ValueId parameter) {
  stands_for_[copy.index] = parameter;
}

// What earlier nodes made has no gradient where something is frozen: batches, tables, amax words.
void ReverseMode::spread_frozen(uint32_t first, uint32_t last) {
  if (frozen_.empty()) return;
  const auto frozen = [&](ValueId v) {
    const uint32_t node = graph_.values()[v.index].node;
    return (node != UINT32_MAX && node < first) || frozen_.contains(v.index);
  };
  for (uint32_t i = first; i < last; ++i) {
    const Node& node = graph_.nodes()[i];
    if (!std::ranges::all_of(node.inputs, [&](ValueId v) { return !v.present() || frozen(v); })) continue;
    for (ValueId output : node.outputs)
      if (output.present()) frozen_.insert(output.index);
  }
}

void ReverseMode::run(uint32_t first, uint32_t last) {
  spread_frozen(first, last);
  for (uint32_t i = last; i-- > first;) {
    const Node node = graph_.nodes()[i];  // a copy: vjps append to the list
    if (node.range != range_ || !node.has_kernel() || op_of(node.op).vjp == nullptr) continue;
    bool needed = false;
    for (ValueId output : node.outputs) needed = needed || (output.present() && cotangent(output).present());
    const Scope scope(graph_, {Kind::cotangent, node.tag.layer, Phase::backward});
    if (!needed) continue;
    op_of(node.op).vjp(*this, node);
    for (ValueId output : node.outputs)
      if (const auto found = cotangents_.find(output.index); found != cotangents_.end()) found->second.read = true;
  }
}

ValueIds ReverseMode::emit(const OpNode& n, OpId op, Parameters parameters, ValueIds inputs) {
  return graph_.add(range_, op, parameters, std::move(inputs), n.label);
}

Quantized ReverseMode::quantized(const OpNode& n, ValueId cotangent, bool transpose) {
  const auto found = quantized_.find(cotangent.index);
  if (found != quantized_.end() && (found->second.qt.present() || !transpose)) return found->second;
  TANDEM_CHECK(quantizer_ != nullptr, "{} wants e4m3 copies, and no quantizer is set", n.label);
  const auto amax = amaxes_.find(cotangent.index);
  const ValueId taken = amax == amaxes_.end() ? ValueId{} : amax->second;
  return quantized_[cotangent.index] = quantizer_->quantize(cotangent, taken, transpose, n.label);
}

const Node* ReverseMode::e4m3_gemm_of(ValueId value) const {
  const uint32_t producer = graph_.values()[value.index].node;
  if (producer == UINT32_MAX || graph_.nodes()[producer].op != OpId::gemm) return nullptr;
  const Node& gemm = graph_.nodes()[producer];
  return gemm.parameters.as<abi::Gemm>().has_scales ? &gemm : nullptr;
}

ValueId ReverseMode::amax_slot(ValueId value) {
  if (!value.present() || cotangent(value).present() || quantizer_ == nullptr || frozen_.contains(value.index))
    return {};
  return e4m3_gemm_of(value) != nullptr ? quantizer_->amax_slot() : ValueId{};
}

bool ReverseMode::only_quantized(ValueId value) const {
  if (cotangent(value).present() || quantizer_ == nullptr || !quantizer_->remembers()) return false;
  const Node* gemm = e4m3_gemm_of(value);
  return gemm != nullptr && !gemm->parameters.as<abi::Gemm>().has_bias && has_accumulator(gemm->inputs[1]);
}

void ReverseMode::add_quantized(const OpNode& n, ValueId value, OpId op, const GuessAndCheck& parameters,
                                const ValueIds& inputs) {
  const Quantized copies = quantizer_->quantize_result(op, parameters, inputs, n.label);
  quantized_[copies.q.index] = copies;
  add(value, copies.q);
}

}  // namespace tandem
