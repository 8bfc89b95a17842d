// verdict (16) u32 -> update (16) u32. The caller sets log_beta1 and log_beta2.
#include "core/abi/adamw_corrections.h"

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters&) {
  const Inputs in("adamw_corrections", inputs, 1, 1);
  in.expect(0, "verdict", u32_desc({abi::kStepScalarWords}));
  return {.outputs = {in[0]}};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = 8, .bytes = bytes_of(operands)};
}

// the words of update
Defined fields_of_update(const Parameters&, Operands operands, size_t i) {
  return {sizeof(abi::UpdateScalars) / sizeof(uint32_t), operands[i].shape.count()};
}

}  // namespace

const Op adamw_corrections{.infer = infer, .cost = cost, .budget = always<Budget::words>, .defined = fields_of_update};

}  // namespace tandem::ops
