// x (rows, columns), delta as x|-, weight (columns), amax (64) u32 when fused -> sum as x with delta|-, y as x, rstd
// (rows) f32, amax in place|-. The caller sets epsilon.
#include "core/abi/rms_norm.h"

#include "core/abi/rms_norm_backward.h"
#include "core/abi/rms_norm_weight_gradient.h"
#include "core/ops/inputs.h"
#include "core/ops/vjp.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::RmsNorm>();
  const Inputs in("rms_norm", inputs, 3, 4);
  const TensorDesc& x = in.matrix(0, "x", 8);
  p.rows = u32(x.shape[0]);
  p.columns = u32(x.shape[1]);
  p.has_delta = in.has(1);
  if (p.has_delta) in.expect(1, "delta", x);
  in.expect(2, "weight", {x.dtype, {x.shape[1]}});
  p.has_amax = in.amax(3);
  parameters = Parameters(p);
  return {.outputs = {p.has_delta ? x : TensorDesc{}, x, f32_desc({x.shape[0]}), amax_desc(p.has_amax)},
          .in_place = p.has_amax,
          .first_output = 3};
}

void vjp(Backward& b, const OpNode& n) {
  const ValueId x = n.inputs[0], delta = n.inputs[1], weight = n.inputs[2], rstd = n.outputs[2];
  const ValueId sum = delta.present() ? n.outputs[0] : x;
  const ValueId dsum = delta.present() ? b.cotangent(sum) : ValueId{};
  const ValueId dy = b.cotangent(n.outputs[1]);
  if (!dy.present() && !dsum.present()) return;
  ValueId dx = dsum;
  if (dy.present()) {
    if (b.has_accumulator(weight)) {
      const auto g = b.emit(n, OpId::rms_norm_weight_gradient, Parameters(abi::RmsNormWeightGradient{}),
                            {dy, sum, rstd, b.accumulator(weight)});
      b.update_accumulator(weight, g[0]);
    }
    ValueIds inputs{dy, dsum, sum, weight, rstd};
    if (const ValueId amax = b.amax_slot(delta); amax.present()) inputs.push_back(amax);
    const auto out = b.emit(n, OpId::rms_norm_backward, Parameters(abi::RmsNormBackward{}), inputs);
    b.set_amax(out[0], out[1]);
    dx = out[0];
  }
  b.add(x, dx);
  if (delta.present()) b.add(delta, dx);
}

// square, add; scale, weight
Cost cost(const Parameters&, Operands operands) {
  return {.flops = 4 * operands[0].shape.count(), .bytes = bytes_of(operands)};
}

// A sum that is kept is read in place of x + delta; the first node has taken the amax.
Clone clone(const OpNode& n, Outputs, Outputs kept) {
  ValueIds inputs(n.inputs.begin(), n.inputs.begin() + 3);
  if (n.outputs[0].present() && kept[0]) inputs[0] = n.outputs[0], inputs[1] = {};
  return {n.parameters, std::move(inputs)};
}

}  // namespace

const Op rms_norm{.infer = infer, .vjp = vjp, .cost = cost, .budget = with_amax<Budget::sums>, .clone = clone};

}  // namespace tandem::ops
