// dy (rows, columns) bf16, x (rows, 2 columns) bf16 stacked gate | up, then as quantized.h says, for dx with both
// copies. The caller sets scale.
#include "core/abi/swiglu_backward_quantize.h"

#include "core/ops/quantized.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::SwigluBackwardQuantize>();
  const Inputs in("swiglu_backward_quantize", inputs, 4, 2 + kMostQuantizedInputs);
  const Shape& dy = in.matrix(0, "dy", 16).shape;
  in.expect(0, "dy", {DType::bf16, dy});
  in.expect(1, "x", {DType::bf16, {dy[0], 2 * dy[1]}});
  p.rows = u32(dy[0]);
  p.columns = u32(dy[1]);
  require(p.scale != abi::kScaleKnown, "swiglu_backward_quantize: its amax is never known beforehand");
  parameters = Parameters(p);
  return quantized_signature(in, 2, in[1].shape, p.scale, true, true);
}

Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::SwigluBackwardQuantize>();
  return {.flops = p.scale == abi::kScaleChecked ? 0 : 12 * uint64_t(p.rows) * p.columns,
          .bytes = quantized_bytes(operands, 2, p.scale)};
}

}  // namespace

const Op swiglu_backward_quantize{.infer = infer, .cost = cost, .budget = quantized_budget};

}  // namespace tandem::ops
