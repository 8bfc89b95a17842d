#include "core/graph/backward.h"

#include "core/abi/add.h"
#include "core/abi/amax.h"
#include "core/abi/quantize.h"

namespace tandem {

constexpr uint64_t kAmaxWords = 64;  // a slot fills an operand's alignment

ValueId Backward::cotangent(ValueId value) const {
  const auto found = cotangents_.find(value.index);
  return found == cotangents_.end() ? ValueId{} : found->second;
}

void Backward::add(ValueId value, ValueId cotangent) {
  if (!value.present() || !cotangent.present()) return;
  auto [entry, fresh] = cotangents_.try_emplace(value.index, cotangent);
  if (!fresh) entry->second = graph_.add(range_, OpId::add, Parameters(abi::Add{}), {entry->second, cotangent})[0];
}

ValueId Backward::parameter_of(ValueId value) const {
  const auto found = stands_for_.find(value.index);
  return found == stands_for_.end() ? value : found->second;
}

void Backward::set_accumulator(ValueId parameter, ValueId accumulator) {
  accumulators_[parameter.index] = accumulator;
}

bool Backward::has_accumulator(ValueId value) const {
  return value.present() && accumulators_.contains(parameter_of(value).index);
}

ValueId Backward::accumulator(ValueId value) const {
  return accumulators_.at(parameter_of(value).index);
}

void Backward::update_accumulator(ValueId value, ValueId accumulated) {
  accumulators_.at(parameter_of(value).index) = accumulated;
}

void Backward::stands_for(ValueId copy, ValueId parameter) {
  stands_for_[copy.index] = parameter;
}

void Backward::run(uint32_t first, uint32_t last) {
  for (uint32_t i = last; i-- > first;) {
    const Node node = graph_.nodes()[i];  // a copy: vjps append to the list
    if (node.range != range_ || node.op >= OpId::zeros || op_of(node.op).vjp == nullptr) continue;
    bool needed = false;
    for (ValueId output : node.outputs) needed = needed || (output.present() && cotangent(output).present());
    if (needed) op_of(node.op).vjp(*this, node);
  }
}

std::vector<ValueId> Backward::emit(const Node& n, OpId op, Parameters parameters, std::vector<ValueId> inputs) {
  return graph_.add(range_, op, std::move(parameters), std::move(inputs), n.label);
}

ValueId Backward::amax_slot() {
  TANDEM_CHECK(amax_used_ < graph_.desc(amax_zeros_).shape[0] / kAmaxWords, "out of amax slots after {}", amax_used_);
  return graph_.slice(range_, amax_zeros_, kAmaxWords * amax_used_++, kAmaxWords);
}

Backward::Quantized Backward::quantized(const Node& n, ValueId cotangent) {
  const auto found = quantized_.find(cotangent.index);
  if (found != quantized_.end()) return found->second;
  const ValueId amax = emit(n, OpId::amax, Parameters(abi::Amax{}), {cotangent, amax_slot()})[0];
  const auto q = emit(n, OpId::quantize, Parameters(abi::Quantize{.has_q = 1, .has_qt = 1}), {cotangent, amax});
  return quantized_[cotangent.index] = {q[0], q[1], q[2]};
}

}  // namespace tandem
