// counter (16) i32 -> counter in place
#include "core/abi/advance_micro_step.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(std::span<const TensorDesc> inputs, Parameters& parameters) {
  const Inputs in("advance_micro_step", inputs, 1, 1);
  in.expect(0, "counter", i32_desc({16}));
  parameters = Parameters(abi::AdvanceMicroStep{});
  return {.outputs = {in[0]}, .in_place = 1};
}

Cost cost(const Parameters&, std::span<const TensorDesc> operands) {
  return {.flops = 0, .bytes = bytes_of(operands)};
}

}  // namespace

const Op advance_micro_step{infer, nullptr, cost};

}  // namespace tandem::ops
