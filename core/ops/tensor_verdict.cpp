// partials (count) f32, loss (1) f32, scalars (16) u32, updates (1) u32, last_norm (1) f32|- -> verdict (1, 64) u32,
// squares (64) f32. The caller sets grad_clip.
#include "core/abi/tensor_verdict.h"

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

constexpr uint64_t kSquares = 64;  // squares of several tensors stand side by side, each at an operand's alignment

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::TensorVerdict>();
  const Inputs in("tensor_verdict", inputs, 5, 5);
  p.count = u32(in[0].shape.count());
  in.expect(0, "partials", f32_desc({p.count}));
  in.expect(1, "loss", f32_desc({1}));
  in.expect(2, "scalars", u32_desc({abi::kStepScalarWords}));
  in.expect(3, "updates", u32_desc({1}));
  if (in.has(4)) in.expect(4, "last_norm", f32_desc({1}));
  parameters = Parameters(p);
  return {.outputs = {u32_desc({1, abi::kTensorWords}), f32_desc({kSquares})}};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = operands[0].shape.count(), .bytes = bytes_of(operands)};
}

Budget budget(const Parameters&, Operands operands, size_t i) {
  return operands[i].dtype == DType::u32 ? Budget::words : Budget::sums;
}

}  // namespace

const Op tensor_verdict{.infer = infer, .cost = cost, .cost_class = CostClass::gradient_norm, .budget = budget};

}  // namespace tandem::ops
