// amax (64 slots) u32 -> amax in place
#include "core/abi/shift_amax.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("shift_amax", inputs, 1, 1);
  require(in[0].shape.rank() == 1 && in[0].shape[0] % abi::kAmaxWords == 0, "shift_amax: amax is {}", in[0]);
  in.expect(0, "amax", u32_desc(in[0].shape));
  parameters = Parameters(abi::ShiftAmax{.slots = u32(in[0].shape[0] / abi::kAmaxWords)});
  return {.outputs = {in[0]}, .in_place = 1};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = 0, .bytes = bytes_of(operands)};
}

}  // namespace

const Op shift_amax{.infer = infer, .cost = cost, .budget = always<Budget::exact>};

}  // namespace tandem::ops
