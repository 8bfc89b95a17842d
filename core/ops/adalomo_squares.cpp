// gradient (any) f32 or bf16, update u32 -> column_sums, row_sums|- f32. The caller sets all parameters.
#include "core/abi/adalomo_squares.h"

#include "core/base/size.h"
#include "core/ops/stored_part.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const auto p = parameters.as<abi::AdalomoSquares>();
  const Inputs in("adalomo_squares", inputs, 2, 2);
  check_part("adalomo_squares", in.floats(0, "gradient"), p.first, p.rows, p.columns);
  check_update_row("adalomo_squares", in[1], p.update_row);
  const TensorDesc row_sums = f32_desc({divide_up(p.columns, abi::kAdalomoTileColumns), p.rows});
  return {
      .outputs = {f32_desc({divide_up(p.rows, abi::kAdalomoTileRows), p.columns}), p.by_row ? row_sums : TensorDesc{}}};
}

// a product for the coefficient, a square, two sums; the gradient is read where the tensor lies alone
Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::AdalomoSquares>();
  const uint64_t count = uint64_t(p.rows) * p.columns;
  return {.flops = 4 * count, .bytes = count * size_of(operands[0].dtype) + bytes_of(operands.subspan(2))};
}

}  // namespace

const Op adalomo_squares{.infer = infer, .cost = cost, .cost_class = CostClass::optimizer};

}  // namespace tandem::ops
