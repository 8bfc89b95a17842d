#include "core/graph/quantizer.h"

#include "core/abi/amax.h"
#include "core/abi/quantize.h"
#include "core/abi/shift_amax.h"

namespace tandem {

Quantizer::Quantizer(Graph& graph, Range range, uint32_t slots, const std::string& name, ValueId scale_counts)
    : graph_(&graph), range_(range), slots_(slots) {
  const TensorDesc words{DType::u32, {uint64_t(abi::kAmaxWords) * slots}};
  if (!scale_counts.present()) {
    words_ = graph.zeros(range, words, name);
    return;
  }
  shift_ = uint32_t(graph.nodes().size());
  const auto shifted = graph.add(range, OpId::shift_amax, Parameters(abi::ShiftAmax{}),
                                 {graph.variable(name, words, Initial::zero), scale_counts}, name);
  words_ = shifted[0];
  scale_counts_ = shifted[1];
}

ValueId Quantizer::slot(uint32_t i) {
  TANDEM_CHECK(used_ + guesses_ <= slots_, "out of amax slots after {}", slots_);
  return graph_->slice(range_, words_, uint64_t(abi::kAmaxWords) * i, abi::kAmaxWords);
}

ValueId Quantizer::amax_slot() {
  return slot(used_++);
}

ValueId Quantizer::guess_slot() {
  Node& shift = graph_->node(shift_);
  auto p = shift.parameters.as<abi::ShiftAmax>();
  p.guesses = ++guesses_;
  shift.parameters = Parameters(p);
  return slot(slots_ - guesses_);
}

Quantized Quantizer::quantize(ValueId x, ValueId amax, bool has_qt, const Label& label) {
  if (!amax.present()) {
    const ValueId slot = amax_slot();
    amax = graph_->add(range_, OpId::amax, Parameters(abi::Amax{}), {x, slot}, label)[0];
  }
  const abi::Quantize p{.has_q = 1, .has_qt = has_qt};
  const auto out = graph_->add(range_, OpId::quantize, Parameters(p), {x, amax}, label);
  return {out[0], out[1], out[2]};
}

Quantized Quantizer::quantize_result(OpId op, const GuessAndCheck& parameters, const ValueIds& inputs,
                                     const Label& label) {
  TANDEM_CHECK(remembers(), "{} guesses, and nothing is remembered", label);
  ValueIds guess_inputs = inputs, check_inputs = inputs;
  guess_inputs.append({ValueId{}, guess_slot()});
  const auto guess = graph_->add(range_, op, parameters.guess, guess_inputs, label);
  check_inputs.append({guess[3], guess[0]});
  if (guess[1].present()) check_inputs.push_back(guess[1]);
  const auto checked = graph_->add(range_, op, parameters.check, check_inputs, label);
  return {checked[0], checked[1], checked[2]};
}

}  // namespace tandem
