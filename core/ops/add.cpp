// a, b of one shape, f32 or bf16, whose elements are a multiple of 8 -> y as a
#include "core/abi/add.h"

#include "core/ops/inputs.h"
#include "core/ops/vjp.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("add", inputs, 2, 2);
  in.expect(1, "b", in.floats(0, "a"));
  require(in[0].shape.count() % 8 == 0, "add: {}, expected a multiple of 8 elements", in[0]);
  parameters = Parameters(abi::Add{.count = u32(in[0].shape.count())});
  return {.outputs = {in[0]}};
}

void vjp(Backward& b, const OpNode& n) {
  const ValueId dy = b.cotangent(n.outputs[0]);
  if (!dy.present()) return;
  b.add(n.inputs[0], dy);
  b.add(n.inputs[1], dy);
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = operands[0].shape.count(), .bytes = bytes_of(operands)};
}

}  // namespace

const Op add{.infer = infer, .vjp = vjp, .cost = cost, .budget = always<Budget::elementwise>};

}  // namespace tandem::ops
