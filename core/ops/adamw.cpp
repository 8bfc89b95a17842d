// gradient, update (16) or (segments, 64) u32, p, m, v (of one shape, each f32 or bf16), master f32 when there is one
// -> p, m, v, master|- in place. The caller sets the constants of AdamW and the segments.
#include "core/abi/adamw.h"

#include "core/ops/inputs.h"
#include "core/ops/segments.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::AdamW>();
  const Inputs in("adamw", inputs, 5, 6);
  const Shape& shape = in.floats(0, "gradient").shape;
  in.expect(2, "p", {in.floats(2, "p").dtype, shape});
  in.expect(3, "m", {in.floats(3, "m").dtype, shape});
  in.expect(4, "v", {in.floats(4, "v").dtype, shape});
  const bool has_master = in.size() == 6;
  if (has_master) in.expect(5, "master", f32_desc(shape));
  check_segments("adamw", p.segments);
  p.by_segment = is_by_segment("adamw", in[1], p.segments);
  p.count = u32(shape.count());
  p.has_master = has_master;
  parameters = Parameters(p);
  return {.outputs = {in[2], in[3], in[4], has_master ? in[5] : TensorDesc{}}, .in_place = has_master ? 4u : 3u};
}

// moments, corrections, root, division, decay; and the random bits of bf16 stores
Cost cost(const Parameters&, Operands operands) {
  return {.flops = 20 * operands[0].shape.count(), .bytes = bytes_of(operands) + bytes_of(operands.subspan(2))};
}

}  // namespace

const Op adamw{.infer = infer,
               .cost = cost,
               .cost_class = CostClass::optimizer,
               .budget = always<Budget::elementwise>,
               .split = {.by = SplitBy::rows, .whole = 1u << 1, .units = rows_of_update, .part = from_row<abi::AdamW>},
               .by_rank = by_rank<abi::AdamW>};

}  // namespace tandem::ops
