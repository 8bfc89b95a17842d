// x f32 or bf16, any shape -> partials (ceil(count / 65536), padded to a multiple of 64) f32
#include "core/abi/square_sum.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

constexpr uint64_t kPadding = 64;  // partials of several tensors stand side by side, each at an operand's alignment

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("square_sum", inputs, 1, 1);
  const uint64_t count = in.floats(0, "x").shape.count();
  parameters = Parameters(abi::SquareSum{.count = u32(count)});
  const uint64_t blocks = (count + abi::kSquareSumBlock - 1) / abi::kSquareSumBlock;
  return {.outputs = {f32_desc({(blocks + kPadding - 1) / kPadding * kPadding})}};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = 2 * operands[0].shape.count(), .bytes = bytes_of(operands)};
}

}  // namespace

const Op square_sum{.infer = infer, .cost = cost, .cost_class = CostClass::gradient_norm};

}  // namespace tandem::ops
