// dy (rows, columns), g (columns) f32 or bf16 -> g in place
#include "core/abi/bias_gradient.h"

#include "core/ops/column_sum.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("bias_gradient", inputs, 2, 2);
  const Shape& dy = in.matrix(0, "dy", 8).shape;
  in.expect(1, "g", {in.floats(1, "g").dtype, {dy[1]}});
  parameters = Parameters(abi::BiasGradient{.rows = u32(dy[0]), .columns = u32(dy[1])});
  return {.outputs = {in[1]}, .in_place = 1};
}

Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::BiasGradient>();
  return {.flops = operands[0].shape.count(),
          .bytes = bytes_of(operands) + operands[1].bytes(),
          .workspace = column_sum_workspace(p.rows, p.columns)};
}

}  // namespace

const Op bias_gradient{.infer = infer, .cost = cost};

}  // namespace tandem::ops
