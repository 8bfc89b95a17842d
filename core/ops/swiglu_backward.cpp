// dy (rows, columns), x (rows, 2 columns) stacked gate | up, amax (64) u32 when fused -> dx as x, amax in place|-
#include "core/abi/swiglu_backward.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("swiglu_backward", inputs, 2, 3);
  const TensorDesc& dy = in.matrix(0, "dy", 8);
  const bool has_amax = in.amax(2);
  in.expect(1, "x", {dy.dtype, {dy.shape[0], 2 * dy.shape[1]}});
  parameters =
      Parameters(abi::SwigluBackward{.rows = u32(dy.shape[0]), .columns = u32(dy.shape[1]), .has_amax = has_amax});
  return {.outputs = {in[1], amax_desc(has_amax)}, .in_place = has_amax, .first_output = 1};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = 10 * operands[0].shape.count(), .bytes = bytes_of(operands)};
}

}  // namespace

const Op swiglu_backward{.infer = infer, .cost = cost, .budget = with_amax<Budget::elementwise>};

}  // namespace tandem::ops
