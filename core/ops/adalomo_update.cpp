// gradient (any), update u32, column_factors f32, row_factors f32|-, rates (2) f32, p (as gradient in shape), each f32
// or bf16, master f32 when there is one -> p, master|- in place. The caller sets first, tensor, update_row and decay.
#include "core/abi/adalomo_update.h"

#include "core/ops/stored_part.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::AdalomoUpdate>();
  const Inputs in("adalomo_update", inputs, 6, 7);
  p.columns = u32(in[2].shape.count());
  p.rows = in.has(3) ? u32(in[3].shape.count()) : 1;
  p.has_master = in.has(6);
  check_part("adalomo_update", in.floats(0, "gradient"), p.first, p.rows, p.columns);
  check_update_row("adalomo_update", in[1], p.update_row);
  in.expect(2, "column_factors", f32_desc({p.columns}));
  if (in.has(3)) in.expect(3, "row_factors", f32_desc({p.rows}));
  in.expect(4, "rates", f32_desc({2}));
  in.expect(5, "p", {in.floats(5, "p").dtype, in[0].shape});
  if (p.has_master) in.expect(6, "master", f32_desc(in[0].shape));
  parameters = Parameters(p);
  return {
      .outputs = {in[5], p.has_master ? in[6] : TensorDesc{}}, .in_place = p.has_master ? 2u : 1u, .first_output = 0};
}

// decay, update and the random bits of bf16 stores; gradient, p and master where the tensor lies alone
Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::AdalomoUpdate>();
  const uint64_t count = uint64_t(p.rows) * p.columns, size = size_of(operands[5].dtype);
  const uint64_t updated = p.has_master ? size + 2 * sizeof(float) : 2 * size;
  return {.flops = 10 * count,
          .bytes = count * (size_of(operands[0].dtype) + updated) + bytes_of(operands.subspan(2, 3))};
}

}  // namespace

const Op adalomo_update{
    .infer = infer, .cost = cost, .cost_class = CostClass::optimizer, .budget = always<Budget::elementwise>};

}  // namespace tandem::ops
