// partials (count) or (ranks, count) f32, losses (ranks) f32, vectors (any) f32|-, scalars (16) u32, counter (16) i32,
// scale_counts (2) u32|-, updates (1) u32, report (2, 16) u32, last_norm (1) f32 where there is one -> verdict (16)
// u32; updates, report and last_norm in place. The caller sets grad_clip and by_tensor.
#include "core/abi/step_verdict.h"

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::StepVerdict>();
  const Inputs in("step_verdict", inputs, 8, 9);
  const Shape& partials = in[0].shape;
  require(in[0].dtype == DType::f32 && (partials.rank() == 1 || partials.rank() == 2) && partials.count() > 0,
          "step_verdict: partials are {}, expected f32 (count) or (ranks, count)", in[0]);
  const uint64_t ranks = partials.rank() == 2 ? partials[0] : 1;
  in.expect(1, "losses", f32_desc({ranks}));
  if (in.has(2)) in.expect(2, "vectors", f32_desc({in[2].shape.count()}));
  in.expect(3, "scalars", u32_desc({abi::kStepScalarWords}));
  in.expect(4, "counter", i32_desc({16}));
  if (in.has(5)) in.expect(5, "scale_counts", u32_desc({2}));
  in.expect(6, "updates", u32_desc({1}));
  in.expect(7, "report", u32_desc({2, abi::kStepScalarWords}));
  const bool has_last = in.size() == 9;
  if (has_last) in.expect(8, "last_norm", f32_desc({1}));
  require(p.by_tensor == 0 || ranks == 1, "step_verdict: tensors' verdicts are those of one rank, not of {}", ranks);
  p.count = u32(partials.back());
  p.ranks = u32(ranks);
  p.vectors = in.has(2) ? u32(in[2].shape.count()) : 0;
  parameters = Parameters(p);
  Descs outputs{u32_desc({abi::kStepScalarWords}), in[6], in[7]};
  if (has_last) outputs.push_back(in[8]);
  return {.outputs = std::move(outputs), .in_place = has_last ? 3u : 2u, .first_output = 1};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = operands[0].shape.count(), .bytes = bytes_of(operands)};
}

// the words of verdict
Defined fields_of_verdict(const Parameters&, Operands operands, size_t i) {
  if (i != 6) return {};
  return {sizeof(abi::Verdict) / sizeof(uint32_t), operands[i].shape.count()};
}

}  // namespace

const Op step_verdict{.infer = infer,
                      .cost = cost,
                      .cost_class = CostClass::gradient_norm,
                      .budget = always<Budget::words>,
                      .defined = fields_of_verdict};

}  // namespace tandem::ops
