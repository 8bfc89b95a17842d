// dy (rows, columns), s as dy, rstd (rows) f32, g (columns) f32 or bf16 -> g in place
#include "core/abi/rms_norm_weight_gradient.h"

#include "core/ops/column_sum.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("rms_norm_weight_gradient", inputs, 4, 4);
  const TensorDesc& dy = in.matrix(0, "dy", 8);
  in.expect(1, "s", dy);
  in.expect(2, "rstd", f32_desc({dy.shape[0]}));
  in.expect(3, "g", {in.floats(3, "g").dtype, {dy.shape[1]}});
  parameters = Parameters(abi::RmsNormWeightGradient{.rows = u32(dy.shape[0]), .columns = u32(dy.shape[1])});
  return {.outputs = {in[3]}, .in_place = 1};
}

Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::RmsNormWeightGradient>();
  return {.flops = 3 * operands[0].shape.count(),
          .bytes = bytes_of(operands) + operands[3].bytes(),
          .workspace = column_sum_workspace(p.rows, p.columns)};
}

}  // namespace

const Op rms_norm_weight_gradient{.infer = infer, .cost = cost};

}  // namespace tandem::ops
