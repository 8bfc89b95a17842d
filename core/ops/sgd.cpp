// gradient, update (16) or (segments, 64) u32, p (of one shape, each f32 or bf16), master f32 when there is one -> p,
// master|- in place. The caller sets decay and the segments.
#include "core/abi/sgd.h"

#include "core/ops/inputs.h"
#include "core/ops/segments.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::Sgd>();
  const Inputs in("sgd", inputs, 3, 4);
  const Shape& shape = in.floats(0, "gradient").shape;
  in.expect(2, "p", {in.floats(2, "p").dtype, shape});
  const bool has_master = in.size() == 4;
  if (has_master) in.expect(3, "master", f32_desc(shape));
  check_segments("sgd", p.segments);
  p.by_segment = is_by_segment("sgd", in[1], p.segments);
  p.count = u32(shape.count());
  p.has_master = has_master;
  parameters = Parameters(p);
  return {.outputs = {in[2], has_master ? in[3] : TensorDesc{}}, .in_place = has_master ? 2u : 1u};
}

// decay, step; and the random bits of bf16 stores
Cost cost(const Parameters&, Operands operands) {
  return {.flops = 8 * operands[0].shape.count(), .bytes = bytes_of(operands) + bytes_of(operands.subspan(2))};
}

}  // namespace

const Op sgd{.infer = infer,
             .cost = cost,
             .cost_class = CostClass::optimizer,
             .budget = always<Budget::elementwise>,
             .split = {.by = SplitBy::rows, .whole = 1u << 1, .units = rows_of_update, .part = from_row<abi::Sgd>},
             .by_rank = by_rank<abi::Sgd>};

}  // namespace tandem::ops
