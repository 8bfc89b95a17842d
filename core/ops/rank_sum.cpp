// parts (ranks, ...) f32 or bf16, scalars (16) u32, counter (16) i32, g (...) f32 or bf16, whose elements are a
// multiple of 8 -> g in place. The caller sets accumulate, by_micro_step, by_owner and the segments.
#include "core/abi/rank_sum.h"

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"
#include "core/ops/segments.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::RankSum>();
  const Inputs in("rank_sum", inputs, 4, 4);
  const Shape &parts = in.floats(0, "parts").shape, &g = in.floats(3, "g").shape;
  require(parts.rank() >= 2 && parts.count() == parts[0] * g.count() && g.count() % 8 == 0,
          "rank_sum: parts are {} and g is {}, expected a part per rank and a multiple of 8 elements", in[0], in[3]);
  in.expect(1, "scalars", u32_desc({abi::kStepScalarWords}));
  in.expect(2, "counter", i32_desc({16}));
  check_segments("rank_sum", p.segments);
  p.count = u32(g.count());
  p.ranks = u32(parts[0]);
  parameters = Parameters(p);
  return {.outputs = {in[3]}, .in_place = 1};
}

Cost cost(const Parameters& parameters, Operands operands) {
  const bool reads_g = parameters.as<abi::RankSum>().accumulate != 0;
  return {.flops = operands[0].shape.count(), .bytes = bytes_of(operands) + (reads_g ? operands[3].bytes() : 0)};
}

}  // namespace

// Not a sum whose order is open: every addition and the rounding are given.
const Op rank_sum{.infer = infer, .cost = cost, .budget = always<Budget::exact>};

}  // namespace tandem::ops
