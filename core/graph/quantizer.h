// E4m3 copies of a range's values, scaled by amax words that stand in one buffer, zeroed at the range's start.
#pragma once

#include "core/abi/quantize.h"
#include "core/graph/graph.h"

namespace tandem {

// x (R, C) as GEMMs want it: q (R, C) and its transpose qt (C, R) e4m3, scale (1) f32
struct Quantized {
  ValueId q, qt, scale;
};

class Quantizer {
 public:
  Quantizer() = default;  // for recipes that quantize nothing
  // remembers: the words stay from run to run of the range, in a variable of that name, so that what a tensor's amax
  // was is a guess of what it will be
  Quantizer(Graph& graph, Range range, uint32_t slots, std::string name, bool remembers = false);

  bool remembers() const { return remembers_; }
  // zeroed words for an amax: (64) u32; Exit::internal after `slots` of them
  ValueId amax_slot();
  // amax: that of x, when its producer has taken it; else a pass over x takes it. has_qt: qt is wanted too
  Quantized quantize(ValueId x, ValueId amax, bool has_qt, const std::string& label);
  // Copies of what op makes of its inputs, in one pass by a guess of their scale and, where the guess was wrong, a
  // second one. P: the op's parameters, with a member `scale`. Only of one that remembers.
  template <typename P>
  Quantized quantize_result(OpId op, P p, const std::vector<ValueId>& inputs, const std::string& label);

 private:
  Graph* graph_ = nullptr;
  Range range_ = Range::begin;
  ValueId words_;  // (64 * slots) u32
  uint32_t slots_ = 0, used_ = 0;
  bool remembers_ = false;
};

template <typename P>
Quantized Quantizer::quantize_result(OpId op, P p, const std::vector<ValueId>& inputs, const std::string& label) {
  TANDEM_CHECK(remembers_, "{} guesses, and nothing is remembered", label);
  std::vector<ValueId> guess_inputs = inputs, check_inputs = inputs;
  p.scale = abi::kScaleGuessed;
  guess_inputs.insert(guess_inputs.end(), {ValueId{}, amax_slot()});
  const auto guess = graph_->add(range_, op, Parameters(p), guess_inputs, label);
  p.scale = abi::kScaleChecked;
  check_inputs.insert(check_inputs.end(), {guess[3], guess[0]});
  if (guess[1].present()) check_inputs.push_back(guess[1]);
  const auto checked = graph_->add(range_, op, Parameters(p), check_inputs, label);
  return {checked[0], checked[1], checked[2]};
}

}  // namespace tandem
