// x (rows, columns), factors (rows or columns) f32|-, factor (1) f32|-, update (16) u32, p as x in dtype, master f32
// when there is one -> p, master|- in place. The caller sets first, tensor, transposed, decay and scale.
#include "core/abi/apollo_update.h"

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::ApolloUpdate>();
  const Inputs in("apollo_update", inputs, 5, 6);
  const Shape &x = in.matrix(0, "x", 4).shape, &shape = in[4].shape;
  p.count = u32(x.count());
  p.columns = u32(x[1]);
  p.has_factors = in.has(1);
  p.has_factor = in.has(2);
  p.has_master = in.has(5);
  if (p.has_factors) in.expect(1, "factors", f32_desc({x[p.transposed ? 1 : 0]}));
  if (p.has_factor) in.expect(2, "factor", f32_desc({1}));
  in.expect(3, "update", u32_desc({abi::kStepScalarWords}));
  in.expect(4, "p", {in[0].dtype, shape});
  if (p.has_master) in.expect(5, "master", f32_desc(shape));
  require(4 * uint64_t(p.first) + p.count <= shape.count(),
          "apollo_update: {} from block {} on of {}, expected a part of it", in[0], p.first, in[4]);
  parameters = Parameters(p);
  return {
      .outputs = {in[4], p.has_master ? in[5] : TensorDesc{}}, .in_place = p.has_master ? 2u : 1u, .first_output = 0};
}

// decay, update and the random bits of bf16 stores; of p and master the tensor's elements alone
Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::ApolloUpdate>();
  const uint64_t size = size_of(operands[0].dtype), master = p.has_master ? 2 * sizeof(float) : 0;
  return {.flops = 9 * uint64_t(p.count), .bytes = p.count * (size + (p.has_master ? size : 2 * size) + master)};
}

}  // namespace

const Op apollo_update{
    .infer = infer, .cost = cost, .cost_class = CostClass::optimizer, .budget = always<Budget::elementwise>};

}  // namespace tandem::ops
