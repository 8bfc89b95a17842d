// gradient (rows, columns), update (16) or (segments, 64) u32, p bf16, m e4m3, m_scale u8, v e5m3, v_scale u8, master
// f32 when there is one -> p, m, m_scale, v, v_scale, master|- in place. The caller sets the constants of AdamW and the
// segments.
#include "core/abi/adamw_8bit.h"

#include "core/ops/inputs.h"
#include "core/ops/segments.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::Adamw8bit>();
  const Inputs in("adamw_8bit", inputs, 7, 8);
  const Shape& shape = in.matrix(0, "gradient", 8).shape;
  p.rows = u32(shape[0]);
  p.columns = u32(shape[1]);
  const Shape scales{shape[0], abi::state_blocks(p.columns)};
  in.expect(2, "p", {DType::bf16, shape});
  in.expect(3, "m", {DType::e4m3, shape});
  in.expect(4, "m_scale", {DType::u8, scales});
  in.expect(5, "v", {DType::e5m3, shape});
  in.expect(6, "v_scale", {DType::u8, scales});
  const bool has_master = in.size() == 8;
  if (has_master) in.expect(7, "master", f32_desc(shape));
  check_segments("adamw_8bit", p.segments);
  p.by_segment = is_by_segment("adamw_8bit", in[1], p.segments);
  p.has_master = has_master;
  parameters = Parameters(p);
  Descs outputs(inputs.begin() + 2, inputs.end());
  outputs.resize(6);
  return {.outputs = std::move(outputs), .in_place = has_master ? 6u : 5u};
}

// what adamw does, and codes: largest of a block, exponents, random bits
Cost cost(const Parameters&, Operands operands) {
  return {.flops = 40 * operands[0].shape.count(), .bytes = bytes_of(operands) + bytes_of(operands.subspan(2))};
}

// Codes and scales of equal operands have equal bits.
Budget budget(const Parameters&, Operands operands, size_t i) {
  return operands[i].dtype == DType::bf16 || operands[i].dtype == DType::f32 ? Budget::elementwise : Budget::exact;
}

}  // namespace

const Op adamw_8bit{
    .infer = infer,
    .cost = cost,
    .cost_class = CostClass::optimizer,
    .budget = budget,
    .split = {.by = SplitBy::rows, .whole = 1u << 1, .units = rows_of_update, .part = from_row<abi::Adamw8bit>},
    .by_rank = by_rank<abi::Adamw8bit>};

}  // namespace tandem::ops
