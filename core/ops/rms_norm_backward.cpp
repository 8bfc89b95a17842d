// dy (rows, columns), dsum as dy|-, s as dy, weight (columns), rstd (rows) f32, amax (64) u32 when fused -> dx as dy,
// amax in place|-
#include "core/abi/rms_norm_backward.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("rms_norm_backward", inputs, 5, 6);
  const TensorDesc& dy = in.matrix(0, "dy", 8);
  const bool has_dsum = in.has(1), has_amax = in.amax(5);
  if (has_dsum) in.expect(1, "dsum", dy);
  in.expect(2, "s", dy);
  in.expect(3, "weight", {dy.dtype, {dy.shape[1]}});
  in.expect(4, "rstd", f32_desc({dy.shape[0]}));
  parameters = Parameters(abi::RmsNormBackward{
      .rows = u32(dy.shape[0]), .columns = u32(dy.shape[1]), .has_dsum = has_dsum, .has_amax = has_amax});
  return {.outputs = {dy, amax_desc(has_amax)}, .in_place = has_amax, .first_output = 1};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = 9 * operands[0].shape.count(), .bytes = bytes_of(operands)};
}

}  // namespace

const Op rms_norm_backward{.infer = infer, .cost = cost, .budget = with_amax<Budget::sums>};

}  // namespace tandem::ops
