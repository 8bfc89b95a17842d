// partials (count) f32, loss (1) f32, scalars (16) u32, counter (16) i32, updates (1) u32, report (2, 16) u32
// -> verdict (16) u32; updates and report in place. The caller sets grad_clip.
#include "core/abi/step_verdict.h"

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::StepVerdict>();
  const Inputs in("step_verdict", inputs, 6, 6);
  const uint64_t count = in[0].shape.count();
  in.expect(0, "partials", f32_desc({count}));
  in.expect(1, "loss", f32_desc({1}));
  in.expect(2, "scalars", u32_desc({abi::kStepScalarWords}));
  in.expect(3, "counter", i32_desc({16}));
  in.expect(4, "updates", u32_desc({1}));
  in.expect(5, "report", u32_desc({2, abi::kStepScalarWords}));
  p.count = u32(count);
  parameters = Parameters(p);
  return {.outputs = {u32_desc({abi::kStepScalarWords}), in[4], in[5]}, .in_place = 2, .first_output = 1};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = operands[0].shape.count(), .bytes = bytes_of(operands)};
}

// of the words of verdict
Defined fields_of_verdict(const Parameters&, Operands operands, size_t i) {
  if (i != 4) return {};
  return {sizeof(abi::Verdict) / sizeof(uint32_t), operands[i].shape.count()};
}

}  // namespace

const Op step_verdict{.infer = infer,
                      .cost = cost,
                      .cost_class = CostClass::gradient_norm,
                      .budget = always<Budget::words>,
                      .defined = fields_of_verdict};

}  // namespace tandem::ops
