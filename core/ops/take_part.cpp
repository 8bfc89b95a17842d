// x (any) f32 or bf16 -> y (rows, columns) f32 or bf16. The caller sets all parameters.
#include "core/abi/take_part.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const auto p = parameters.as<abi::TakePart>();
  const Inputs in("take_part", inputs, 1, 1);
  const uint64_t count = uint64_t(p.rows) * p.columns;
  require(count > 0 && count % 4 == 0 && 4 * uint64_t(p.first) + count <= in.floats(0, "x").shape.count(),
          "take_part: ({}, {}) from block {} on of {}, expected a part of it of whole blocks", p.rows, p.columns,
          p.first, in[0]);
  return {.outputs = {{p.wide ? DType::f32 : DType::bf16, {p.rows, p.columns}}}};
}

// x is read where the tensor lies alone
Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::TakePart>();
  return {.bytes = uint64_t(p.rows) * p.columns * (size_of(operands[0].dtype) + size_of(operands[1].dtype))};
}

}  // namespace

const Op take_part{.infer = infer, .cost = cost, .cost_class = CostClass::optimizer, .budget = always<Budget::exact>};

}  // namespace tandem::ops
