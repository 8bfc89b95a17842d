// inputs (2, 16) u32, counter (16) i32 -> counter in place, scalars (16) u32
#include "core/abi/begin_step.h"

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("begin_step", inputs, 2, 2);
  in.expect(0, "inputs", u32_desc({2, abi::kStepScalarWords}));
  in.expect(1, "counter", i32_desc({16}));
  parameters = Parameters(abi::BeginStep{.words = abi::kStepScalarWords});
  return {.outputs = {in[1], u32_desc({abi::kStepScalarWords})}, .in_place = 1};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = 0, .bytes = bytes_of(operands)};
}

}  // namespace

const Op begin_step{.infer = infer, .cost = cost, .budget = always<Budget::exact>};

}  // namespace tandem::ops
