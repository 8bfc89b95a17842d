// partials (2, any) f32, update u32, row_totals f32|- -> rates (2) f32. The caller sets count, true_rows and
// update_row.
#include "core/abi/adalomo_rate.h"

#include "core/ops/stored_part.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::AdalomoRate>();
  const Inputs in("adalomo_rate", inputs, 3, 3);
  p.partials = u32(in.matrix(0, "partials").shape[1]);
  p.totals = in.has(2) ? u32(in[2].shape.count()) : 0;
  in.expect(0, "partials", f32_desc({2, p.partials}));
  check_update_row("adalomo_rate", in[1], p.update_row);
  if (in.has(2)) in.expect(2, "row_totals", f32_desc({p.totals}));
  require(p.count > 0 && p.true_rows > 0, "adalomo_rate: {} elements in {} rows", p.count, p.true_rows);
  parameters = Parameters(p);
  return {.outputs = {f32_desc({2})}};
}

Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::AdalomoRate>();
  return {.flops = 2 * uint64_t(p.partials) + p.totals, .bytes = bytes_of(operands)};
}

}  // namespace

const Op adalomo_rate{.infer = infer, .cost = cost, .cost_class = CostClass::optimizer};

}  // namespace tandem::ops
