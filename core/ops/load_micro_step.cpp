// inputs (2, micro_steps, count) i32, counter (16) i32 -> x (count) i32
#include "core/abi/load_micro_step.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("load_micro_step", inputs, 2, 2);
  require(in[0].shape.rank() == 3, "load_micro_step: inputs are {}, expected three axes", in[0]);
  const uint64_t micro_steps = in[0].shape[1], count = in[0].shape[2];
  in.expect(0, "inputs", i32_desc({2, micro_steps, count}));
  in.expect(1, "counter", i32_desc({16}));
  parameters = Parameters(abi::LoadMicroStep{.micro_steps = u32(micro_steps), .count = u32(count)});
  return {.outputs = {i32_desc({count})}};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = 0, .bytes = 2 * operands[2].bytes()};
}

}  // namespace

const Op load_micro_step{.infer = infer, .cost = cost, .budget = always<Budget::exact>};

}  // namespace tandem::ops
