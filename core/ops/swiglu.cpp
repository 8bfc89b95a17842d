// x (rows, 2 columns) stacked gate | up, amax (64) u32 when fused -> y (rows, columns), amax in place|-
#include "core/abi/swiglu.h"

#include "core/abi/swiglu_backward.h"
#include "core/ops/inputs.h"
#include "core/ops/vjp.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("swiglu", inputs, 1, 2);
  const TensorDesc& x = in.matrix(0, "x", 16);
  const bool has_amax = in.amax(1);
  const uint64_t rows = x.shape[0], columns = x.shape[1] / 2;
  parameters = Parameters(abi::Swiglu{.rows = u32(rows), .columns = u32(columns), .has_amax = has_amax});
  return {.outputs = {{x.dtype, {rows, columns}}, amax_desc(has_amax)}, .in_place = has_amax, .first_output = 1};
}

void vjp(Backward& b, const OpNode& n) {
  const ValueId dy = b.cotangent(n.outputs[0]), x = n.inputs[0];
  if (!dy.present()) return;
  ValueIds inputs{dy, x};
  if (const ValueId amax = b.amax_slot(x); amax.present()) inputs.push_back(amax);
  const auto out = b.emit(n, OpId::swiglu_backward, Parameters(abi::SwigluBackward{}), inputs);
  b.set_amax(out[0], out[1]);
  b.add(x, out[0]);
}

// exp, add, divide, multiply
Cost cost(const Parameters&, Operands operands) {
  return {.flops = 4 * operands[1].shape.count(), .bytes = bytes_of(operands)};
}

// The first node has taken the amax.
Clone clone(const OpNode& n, Outputs, Outputs) {
  return {n.parameters, {n.inputs[0]}};
}

}  // namespace

const Op swiglu{.infer = infer, .vjp = vjp, .cost = cost, .budget = with_amax<Budget::elementwise>, .clone = clone};

}  // namespace tandem::ops
