// column_sums f32, update u32, row_sums f32|-, column (any) f32, row (any) f32 when there are row_sums ->
// column_factors, row_factors|-, row_totals|-, column, row|- in place. The caller sets the true sizes, first_row,
// first_column and update_row.
#include "core/abi/adalomo_moments.h"

#include "core/abi/adalomo_squares.h"
#include "core/base/size.h"
#include "core/ops/stored_part.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::AdalomoMoments>();
  const Inputs in("adalomo_moments", inputs, 4, 5);
  const bool by_row = in.has(2);
  p.columns = u32(in.matrix(0, "column_sums").shape[1]);
  p.rows = by_row ? u32(in.matrix(2, "row_sums").shape[1]) : 1;
  in.expect(0, "column_sums", f32_desc({divide_up(p.rows, abi::kAdalomoTileRows), p.columns}));
  check_update_row("adalomo_moments", in[1], p.update_row);
  if (by_row) in.expect(2, "row_sums", f32_desc({divide_up(p.columns, abi::kAdalomoTileColumns), p.rows}));
  in.expect(3, "column", f32_desc({in[3].shape.count()}));
  const TensorDesc row = in.has(4) ? in[4] : TensorDesc{};
  require(row == (by_row ? f32_desc({row.shape.count()}) : TensorDesc{}),
          "adalomo_moments: row is {}, expected f32 of one axis, and none without row_sums", row);
  require(uint64_t(p.first_column) + p.columns <= in[3].shape.count() && p.true_rows >= 1 && p.true_rows <= p.rows &&
              p.true_columns >= 1 && p.true_columns <= p.columns &&
              (!by_row || uint64_t(p.first_row) + p.rows <= row.shape.count()),
          "adalomo_moments: ({}, {}), without padding ({}, {}), from row {} and column {} on of {} and {}", p.rows,
          p.columns, p.true_rows, p.true_columns, p.first_row, p.first_column, row, in[3]);
  parameters = Parameters(p);
  if (!by_row) return {.outputs = {f32_desc({p.columns}), {}, {}, in[3], {}}, .in_place = 1, .first_output = 3};
  return {.outputs = {f32_desc({p.columns}), f32_desc({p.rows}), f32_desc({divide_up(p.rows, abi::kAdalomoBlock)}),
                      in[3], row},
          .in_place = 2,
          .first_output = 3};
}

// means, a root and a division; row and column are read and written where the tensor's lie alone
Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::AdalomoMoments>();
  const uint64_t elements = uint64_t(p.columns) + (operands[2].dtype == DType::none ? 0 : p.rows);
  return {.flops = operands[0].shape.count() + operands[2].shape.count() + 7 * elements,
          .bytes = bytes_of(operands.first(6)) + 2 * elements * sizeof(float)};
}

}  // namespace

const Op adalomo_moments{.infer = infer, .cost = cost, .cost_class = CostClass::optimizer};

}  // namespace tandem::ops
