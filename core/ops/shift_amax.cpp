// amax (64 slots) u32, counts (2) u32 -> both in place. The caller sets guesses.
#include "core/abi/shift_amax.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::ShiftAmax>();
  const Inputs in("shift_amax", inputs, 2, 2);
  require(in[0].shape.rank() == 1 && in[0].shape[0] % abi::kAmaxWords == 0, "shift_amax: amax is {}", in[0]);
  in.expect(0, "amax", u32_desc(in[0].shape));
  in.expect(1, "counts", u32_desc({2}));
  p.slots = u32(in[0].shape[0] / abi::kAmaxWords);
  require(p.guesses <= p.slots, "shift_amax: {} of {} slots are guesses", p.guesses, p.slots);
  parameters = Parameters(p);
  return {.outputs = {in[0], in[1]}, .in_place = 2};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = 0, .bytes = bytes_of(operands)};
}

}  // namespace

const Op shift_amax{.infer = infer, .cost = cost, .budget = always<Budget::exact>};

}  // namespace tandem::ops
