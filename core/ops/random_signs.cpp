// update (16) u32 -> signs (rank, size) or (size, rank) f32 or bf16. The caller sets all parameters.
#include "core/abi/random_signs.h"

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const auto p = parameters.as<abi::RandomSigns>();
  const Inputs in("random_signs", inputs, 1, 1);
  in.expect(0, "update", u32_desc({abi::kStepScalarWords}));
  require(
      p.rank > 0 && p.true_size > 0 && p.true_size <= p.size && p.every > 0 && uint64_t(p.rank) * p.size <= UINT32_MAX,
      "random_signs: ({}, {}) with {} true columns, anew every {} updates", p.rank, p.size, p.true_size, p.every);
  const Shape shape = p.transposed ? Shape{p.size, p.rank} : Shape{p.rank, p.size};
  return {.outputs = {{p.wide ? DType::f32 : DType::bf16, shape}}};
}

// ten rounds of Philox for four signs
Cost cost(const Parameters&, Operands operands) {
  return {.flops = 25 * operands[1].shape.count(), .bytes = bytes_of(operands)};
}

}  // namespace

const Op random_signs{
    .infer = infer, .cost = cost, .cost_class = CostClass::optimizer, .budget = always<Budget::exact>};

}  // namespace tandem::ops
