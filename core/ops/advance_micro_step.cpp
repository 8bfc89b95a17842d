// counter (16) i32 -> counter in place
#include "core/abi/advance_micro_step.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("advance_micro_step", inputs, 1, 1);
  in.expect(0, "counter", i32_desc({16}));
  parameters = Parameters(abi::AdvanceMicroStep{});
  return {.outputs = {in[0]}, .in_place = 1};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = 0, .bytes = bytes_of(operands)};
}

}  // namespace

const Op advance_micro_step{.infer = infer, .cost = cost, .budget = always<Budget::exact>};

}  // namespace tandem::ops
