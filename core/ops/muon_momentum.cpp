// gradient, update (16) u32, m (as gradient), each f32 or bf16 -> u (rows, columns) f32 or bf16, m in place. The caller
// sets all parameters.
#include "core/abi/muon_momentum.h"

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const auto p = parameters.as<abi::MuonMomentum>();
  const Inputs in("muon_momentum", inputs, 3, 3);
  const Shape& shape = in.floats(0, "gradient").shape;
  in.expect(1, "update", u32_desc({abi::kStepScalarWords}));
  in.expect(2, "m", {in.floats(2, "m").dtype, shape});
  const uint64_t count = uint64_t(p.rows) * p.columns;
  require(count > 0 && count % 4 == 0 && 4 * uint64_t(p.first) + count <= shape.count(),
          "muon_momentum: ({}, {}) from block {} on of {}, expected a part of it of whole blocks", p.rows, p.columns,
          p.first, in[0]);
  return {
      .outputs = {{p.wide ? DType::f32 : DType::bf16, {p.rows, p.columns}}, in[2]}, .in_place = 1, .first_output = 1};
}

// two products and a sum for m, as many for u; of gradient and m the tensor's elements alone
Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::MuonMomentum>();
  const uint64_t count = uint64_t(p.rows) * p.columns;
  const uint64_t bytes = size_of(operands[0].dtype) + size_of(operands[2].dtype) + 2 * size_of(operands[3].dtype);
  return {.flops = 8 * count, .bytes = count * bytes};
}

}  // namespace

const Op muon_momentum{
    .infer = infer, .cost = cost, .cost_class = CostClass::optimizer, .budget = always<Budget::elementwise>};

}  // namespace tandem::ops
