// targets (rows) i32, scalars (16) u32, logits (rows, columns) f32 or bf16 -> logits in place, loss (rows) f32.
// The caller sets vocabulary (0: columns), write_gradient and z_loss. The head emits its own gradient: no vjp.
#include "core/abi/cross_entropy.h"

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::CrossEntropy>();
  const Inputs in("cross_entropy", inputs, 3, 3);
  const TensorDesc& logits = in.matrix(2, "logits");
  p.rows = u32(logits.shape[0]);
  p.columns = u32(logits.shape[1]);
  if (p.vocabulary == 0) p.vocabulary = p.columns;
  require(p.vocabulary <= p.columns, "cross_entropy: vocabulary {}, logits {}", p.vocabulary, logits);
  in.expect(0, "targets", i32_desc({p.rows}));
  in.expect(1, "scalars", u32_desc({abi::kStepScalarWords}));
  parameters = Parameters(p);
  return {.outputs = {logits, f32_desc({p.rows})}, .in_place = 1};
}

// maximum, exp, add; scaled again for the gradient
Cost cost(const Parameters& parameters, Operands operands) {
  const bool writes = parameters.as<abi::CrossEntropy>().write_gradient != 0;
  return {.flops = (writes ? 7 : 4) * operands[2].shape.count(),
          .bytes = bytes_of(operands) + (writes ? operands[2].bytes() : 0)};
}

// logits that stay keep the padding of their product
Defined true_logits(const Parameters& parameters, Operands, size_t i) {
  const auto p = parameters.as<abi::CrossEntropy>();
  return i == 2 && p.write_gradient == 0 ? Defined{p.vocabulary, p.columns} : Defined{};
}

}  // namespace

const Op cross_entropy{.infer = infer, .cost = cost, .defined = true_logits};

}  // namespace tandem::ops
