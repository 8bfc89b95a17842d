// E4m3 copies of a range's values, scaled by amax words that come from one buffer, zeroed once per run of the range.
#pragma once

#include "core/graph/graph.h"

namespace tandem {

// x (R, C) as GEMMs want it: q (R, C) and its transpose qt (C, R) e4m3, scale (1) f32
struct Quantized {
  ValueId q, qt, scale;
};

class Quantizer {
 public:
  Quantizer() = default;  // for recipes that quantize nothing
  Quantizer(Graph& graph, Range range, uint32_t slots, std::string label);

  // zeroed words for an amax: (64) u32; Exit::internal after `slots` of them
  ValueId amax_slot();
  // amax: that of x, when its producer has taken it; else a pass over x takes it. has_qt: qt is wanted too
  Quantized quantize(ValueId x, ValueId amax, bool has_qt, const std::string& label);

 private:
  Graph* graph_ = nullptr;
  Range range_ = Range::begin;
  ValueId zeros_;  // (64 * slots) u32
  uint32_t slots_ = 0, used_ = 0;
};

}  // namespace tandem
