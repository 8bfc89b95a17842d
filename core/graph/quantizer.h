// E4m3 copies of a range's values, scaled by amax words that stand in one buffer, zeroed at the range's start.
#pragma once

#include "core/graph/graph.h"

namespace tandem {

class Quantizer {
 public:
  Quantizer() = default;  // for recipes that quantize nothing
  // scale_counts: where it is present the words stay from run to run of the range, in a variable of that name, so that
  // what a tensor's amax was is a guess of what it will be; these (2) u32 count the guesses and the wrong ones
  Quantizer(Graph& graph, Range range, uint32_t slots, const std::string& name, ValueId scale_counts = {});

  bool remembers() const { return scale_counts_.present(); }
  // The counts after this run, which adds the guesses of the run before (abi ShiftAmax); absent where none are made.
  ValueId scale_counts() const { return scale_counts_; }
  // zeroed words for an amax: (64) u32; Exit::internal after `slots` of them
  ValueId amax_slot();
  // amax: that of x, when its producer has taken it; else a pass over x takes it. has_qt: qt is wanted too
  Quantized quantize(ValueId x, ValueId amax, bool has_qt, const Label& label);
  // Copies of what op makes of its inputs, in one pass by a guess of their scale and, where the guess was wrong, a
  // second one. Exit::internal for a quantizer that does not remember.
  Quantized quantize_result(OpId op, const GuessAndCheck& parameters, const ValueIds& inputs, const Label& label);

 private:
  ValueId guess_slot();
  ValueId slot(uint32_t i);
  Graph* graph_ = nullptr;
  Range range_ = Range::begin;
  ValueId words_, scale_counts_;                 // words: (64 * slots) u32
  uint32_t shift_ = 0;                           // the node shift_amax
  uint32_t slots_ = 0, used_ = 0, guesses_ = 0;  // guesses take the last slots
};

}  // namespace tandem
