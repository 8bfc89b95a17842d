// gradient, update (16) u32, p, m, v (of one shape, each f32 or bf16), master f32 when there is one -> p, m, v,
// master|- in place. The caller sets the constants of AdamW and the segments.
#include "core/abi/adamw.h"

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::AdamW>();
  const Inputs in("adamw", inputs, 5, 6);
  const Shape& shape = in.floats(0, "gradient").shape;
  in.expect(1, "update", u32_desc({abi::kStepScalarWords}));
  in.expect(2, "p", {in.floats(2, "p").dtype, shape});
  in.expect(3, "m", {in.floats(3, "m").dtype, shape});
  in.expect(4, "v", {in.floats(4, "v").dtype, shape});
  const bool has_master = in.size() == 6;
  if (has_master) in.expect(5, "master", f32_desc(shape));
  require(p.segments >= 1 && p.segments <= 4, "adamw: {} segments, expected 1 to 4", p.segments);
  p.count = u32(shape.count());
  p.has_master = has_master;
  parameters = Parameters(p);
  return {.outputs = {in[2], in[3], in[4], has_master ? in[5] : TensorDesc{}}, .in_place = has_master ? 4u : 3u};
}

// moments, corrections, root, division, decay; and the random bits of bf16 stores
Cost cost(const Parameters&, Operands operands) {
  return {.flops = 20 * operands[0].shape.count(), .bytes = bytes_of(operands) + bytes_of(operands.subspan(2))};
}

uint32_t rows_of(const Parameters&, Operands operands) {
  return u32(operands[2].shape[0]);
}

// the segments that elements of rows first .. first + count - 1 lie in, counted from the first of them
Parameters with_segments_of(const Parameters& parameters, Operands operands, uint32_t first, uint32_t count) {
  const auto whole = parameters.as<abi::AdamW>();
  const uint64_t columns = whole.count / rows_of(parameters, operands);
  const uint64_t begin = first * columns, end = begin + count * columns;
  abi::AdamW p = whole;
  p.segments = 0;
  for (uint32_t s = 0; s < whole.segments; ++s) {
    const uint64_t segment_end = s + 1 < whole.segments ? whole.segment_begin[s + 1] : whole.count;
    if (segment_end <= begin || whole.segment_begin[s] >= end) continue;
    p.segment_begin[p.segments] = whole.segment_begin[s] - u32(begin);  // modulo 2^32, see the abi
    p.segment_tensor[p.segments++] = whole.segment_tensor[s];
  }
  return Parameters(p);
}

}  // namespace

const Op adamw{.infer = infer,
               .cost = cost,
               .cost_class = CostClass::optimizer,
               .budget = always<Budget::elementwise>,
               .split = {.by = SplitBy::rows, .whole = 1u << 1, .units = rows_of, .part = with_segments_of}};

}  // namespace tandem::ops
