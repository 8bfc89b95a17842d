// x (rows, 2 columns) bf16 stacked gate | up, then as quantized.h says. The caller sets has_q, has_qt and scale.
#include "core/abi/swiglu_quantize.h"

#include "core/abi/swiglu_backward.h"
#include "core/abi/swiglu_backward_quantize.h"
#include "core/ops/quantized.h"
#include "core/ops/vjp.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::SwigluQuantize>();
  const Inputs in("swiglu_quantize", inputs, 2, 1 + kMostQuantizedInputs);
  const Shape& x = in.matrix(0, "x", 32).shape;
  in.expect(0, "x", {DType::bf16, x});
  p.rows = u32(x[0]);
  p.columns = u32(x[1] / 2);
  parameters = Parameters(p);
  return quantized_signature(in, 1, {p.rows, p.columns}, p.scale, p.has_q, p.has_qt);
}

// straight through the codes to swiglu's gradient, which is quantized too where only products read it
void vjp(Backward& b, const OpNode& n) {
  const ValueId x = n.inputs[0], dy = n.outputs[0].present() ? b.cotangent(n.outputs[0]) : ValueId{};
  if (!dy.present()) return;
  if (b.only_quantized(x)) {
    b.add_quantized(n, x, OpId::swiglu_backward_quantize, guess_and_check(abi::SwigluBackwardQuantize{}), {dy, x});
  } else {
    b.add(x, b.emit(n, OpId::swiglu_backward, Parameters(abi::SwigluBackward{}), {dy, x})[0]);
  }
}

// as swiglu's, and a multiplication to scale
Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::SwigluQuantize>();
  return {.flops = p.scale == abi::kScaleChecked ? 0 : 5 * uint64_t(p.rows) * p.columns,
          .bytes = quantized_bytes(operands, 1, p.scale)};
}

// A check reads the amax that its guess has taken: from then on it is known.
Clone clone(const OpNode& n, Outputs wanted, Outputs) {
  auto p = wanted_copies<abi::SwigluQuantize>(n.parameters, wanted).as<abi::SwigluQuantize>();
  require(p.scale != abi::kScaleGuessed, "swiglu_quantize: what checks a guess is cloned, not the guess");
  p.scale = abi::kScaleKnown;
  return {Parameters(p), {n.inputs[0], n.inputs[1]}};
}

}  // namespace

const Op swiglu_quantize{.infer = infer,
                         .vjp = vjp,
                         .cost = cost,
                         .budget = quantized_budget,
                         .only = wanted_copies<abi::SwigluQuantize>,
                         .clone = clone};

}  // namespace tandem::ops
