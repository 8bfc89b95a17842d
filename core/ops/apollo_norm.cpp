// x (rows, columns) f32 or bf16, factors (rows or columns) f32|- -> partials f32. The caller sets transposed.
#include "core/abi/apollo_norm.h"

#include "core/base/size.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::ApolloNorm>();
  const Inputs in("apollo_norm", inputs, 2, 2);
  const Shape& shape = in.matrix(0, "x", 4).shape;
  p.count = u32(shape.count());
  p.columns = u32(shape[1]);
  p.has_factors = in.has(1);
  if (p.has_factors) in.expect(1, "factors", f32_desc({shape[p.transposed ? 1 : 0]}));
  parameters = Parameters(p);
  return {.outputs = {f32_desc({divide_up(p.count, abi::kApolloNormBlock)})}};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = 3 * operands[0].shape.count(), .bytes = bytes_of(operands)};
}

}  // namespace

const Op apollo_norm{.infer = infer, .cost = cost, .cost_class = CostClass::optimizer};

}  // namespace tandem::ops
