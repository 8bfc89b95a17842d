// losses (count) f32, loss (1) f32 -> loss in place
#include "core/abi/loss_sum.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("loss_sum", inputs, 2, 2);
  in.expect(0, "losses", f32_desc({in[0].shape.count()}));
  in.expect(1, "loss", f32_desc({1}));
  parameters = Parameters(abi::LossSum{.count = u32(in[0].shape.count())});
  return {.outputs = {in[1]}, .in_place = 1};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = operands[0].shape.count(), .bytes = bytes_of(operands)};
}

}  // namespace

const Op loss_sum{.infer = infer, .cost = cost};

}  // namespace tandem::ops
