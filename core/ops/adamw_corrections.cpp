// verdict (16) or (tensors, 64) u32 -> update as verdict. The caller sets log_beta1 and log_beta2.
#include "core/abi/adamw_corrections.h"

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::AdamwCorrections>();
  const Inputs in("adamw_corrections", inputs, 1, 1);
  p.tensors = in[0].shape.rank() == 2 ? u32(in[0].shape[0]) : 0;
  in.expect(0, "verdict", u32_desc(p.tensors > 0 ? Shape{p.tensors, abi::kTensorWords} : Shape{abi::kStepScalarWords}));
  parameters = Parameters(p);
  return {.outputs = {in[0]}};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = 8, .bytes = bytes_of(operands)};
}

// the words of update
Defined fields_of_update(const Parameters&, Operands operands, size_t i) {
  return {sizeof(abi::UpdateScalars) / sizeof(uint32_t), operands[i].shape.back()};
}

}  // namespace

const Op adamw_corrections{.infer = infer, .cost = cost, .budget = always<Budget::words>, .defined = fields_of_update};

}  // namespace tandem::ops
