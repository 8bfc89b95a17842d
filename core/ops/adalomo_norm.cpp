// gradient (any), w (as gradient in shape), each f32 or bf16, update u32, column_factors f32, row_factors and
// row_totals f32|- -> partials f32. The caller sets first, true_rows and update_row.
#include "core/abi/adalomo_norm.h"

#include "core/base/size.h"
#include "core/ops/stored_part.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::AdalomoNorm>();
  const Inputs in("adalomo_norm", inputs, 6, 6);
  p.columns = u32(in[3].shape.count());
  p.rows = in.has(4) ? u32(in[4].shape.count()) : 1;
  p.totals = in.has(5) ? u32(in[5].shape.count()) : 0;
  check_part("adalomo_norm", in.floats(0, "gradient"), p.first, p.rows, p.columns);
  check_update_row("adalomo_norm", in[1], p.update_row);
  in.expect(2, "w", {in.floats(2, "w").dtype, in[0].shape});
  in.expect(3, "column_factors", f32_desc({p.columns}));
  if (in.has(4)) in.expect(4, "row_factors", f32_desc({p.rows}));
  if (in.has(5)) in.expect(5, "row_totals", f32_desc({p.totals}));
  require(in.has(4) == in.has(5) && p.true_rows >= 1 && p.true_rows <= p.rows,
          "adalomo_norm: row_factors {}, row_totals {}, {} rows, expected both or neither", in[4], in[5], p.true_rows);
  parameters = Parameters(p);
  return {.outputs = {f32_desc({2, divide_up(uint64_t(p.rows) * p.columns, abi::kAdalomoNormBlock)})}};
}

// gradient and w are read where the tensor lies alone
Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::AdalomoNorm>();
  const uint64_t count = uint64_t(p.rows) * p.columns;
  return {.flops = 7 * count,
          .bytes = count * (size_of(operands[0].dtype) + size_of(operands[2].dtype)) + bytes_of(operands.subspan(3))};
}

}  // namespace

const Op adalomo_norm{.infer = infer, .cost = cost, .cost_class = CostClass::optimizer};

}  // namespace tandem::ops
