#include "core/graph/quantizer.h"

#include "core/abi/amax.h"
#include "core/abi/quantize.h"

namespace tandem {

Quantizer::Quantizer(Graph& graph, Range range, uint32_t slots, std::string label)
    : graph_(&graph),
      range_(range),
      zeros_(graph.zeros(range, {DType::u32, {uint64_t(abi::kAmaxWords) * slots}}, std::move(label))),
      slots_(slots) {}

ValueId Quantizer::amax_slot() {
  TANDEM_CHECK(used_ < slots_, "out of amax slots after {}", used_);
  return graph_->slice(range_, zeros_, uint64_t(abi::kAmaxWords) * used_++, abi::kAmaxWords);
}

Quantized Quantizer::quantize(ValueId x, ValueId amax, bool has_qt, const std::string& label) {
  if (!amax.present()) {
    const ValueId slot = amax_slot();
    amax = graph_->add(range_, OpId::amax, Parameters(abi::Amax{}), {x, slot}, label)[0];
  }
  const abi::Quantize p{.has_q = 1, .has_qt = has_qt};
  const auto out = graph_->add(range_, OpId::quantize, Parameters(p), {x, amax}, label);
  return {out[0], out[1], out[2]};
}

}  // namespace tandem
