// x f32 or bf16, any shape, amax (64) u32 -> amax in place
#include "core/abi/amax.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("amax", inputs, 2, 2);
  in.floats(0, "x");
  in.expect(1, "amax", amax_desc(true));
  parameters = Parameters(abi::Amax{.count = u32(in[0].shape.count())});
  return {.outputs = {in[1]}, .in_place = 1};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = operands[0].shape.count(), .bytes = operands[0].bytes()};
}

}  // namespace

const Op amax{
    .infer = infer, .cost = cost, .budget = always<Budget::exact>, .on_rows = [](size_t) { return OnRows::maximum; }};

}  // namespace tandem::ops
