// r (rows, rank) f32, update (16) u32, m, v (any, rank) f32 -> out by form, m, v in place. The caller sets first_row,
// form, wide, by and the constants of Adam.
#include "core/abi/apollo_scale.h"

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

TensorDesc out_of(const abi::ApolloScale& p) {
  if (p.form == abi::kApolloChannel) return f32_desc({p.rows});
  if (p.form == abi::kApolloTensor) return f32_desc({2, p.rows});
  return {p.wide ? DType::f32 : DType::bf16, {p.rows, p.rank}};
}

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::ApolloScale>();
  const Inputs in("apollo_scale", inputs, 4, 4);
  const Shape& shape = in.matrix(0, "r").shape;
  p.rows = u32(shape[0]);
  p.rank = u32(shape[1]);
  in.expect(0, "r", f32_desc(shape));
  in.expect(1, "update", u32_desc({abi::kStepScalarWords}));
  in.expect(2, "m", f32_desc({in[2].shape[0], p.rank}));
  in.expect(3, "v", in[2]);
  require(p.form <= abi::kApolloDirection && uint64_t(p.first_row) + p.rows <= in[2].shape[0],
          "apollo_scale: form {}, {} rows from {} on of {}", p.form, p.rows, p.first_row, in[2]);
  parameters = Parameters(p);
  return {.outputs = {out_of(p), in[2], in[3]}, .in_place = 2, .first_output = 1};
}

// moments, a root and a division, two squares for the sums; of m and v the rows alone
Cost cost(const Parameters&, Operands operands) {
  const uint64_t count = operands[0].shape.count();
  return {.flops = 14 * count, .bytes = count * 5 * sizeof(float) + operands[2].bytes()};
}

}  // namespace

const Op apollo_scale{
    .infer = infer, .cost = cost, .cost_class = CostClass::optimizer, .budget = always<Budget::elementwise>};

}  // namespace tandem::ops
