// verdict (16) u32 -> update (16) u32. The caller sets log_beta1 and log_beta2.
#include "core/abi/adamw_corrections.h"

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(std::span<const TensorDesc> inputs, Parameters&) {
  const Inputs in("adamw_corrections", inputs, 1, 1);
  in.expect(0, "verdict", u32_desc({abi::kStepScalarWords}));
  return {.outputs = {in[0]}};
}

Cost cost(const Parameters&, std::span<const TensorDesc> operands) {
  return {.flops = 8, .bytes = bytes_of(operands)};
}

}  // namespace

const Op adamw_corrections{.infer = infer, .cost = cost};

}  // namespace tandem::ops
