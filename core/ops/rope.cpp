// positions (rows) i32, table (table_rows, head_dim / 2, 2) f32, x (rows, heads * head_dim) stacked q | k | v -> x in
// place. The caller sets q_heads, kv_heads, head_dim and inverse.
#include "core/abi/rope.h"

#include "core/ops/inputs.h"
#include "core/ops/vjp.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::Rope>();
  const Inputs in("rope", inputs, 3, 3);
  const TensorDesc& x = in.heads(2, "x", p.q_heads, p.kv_heads, p.head_dim);
  in.expect(0, "positions", i32_desc({x.shape[0]}));
  require(in[1].shape.rank() == 3, "rope: table is {}, expected three axes", in[1]);
  in.expect(1, "table", f32_desc({in[1].shape[0], p.head_dim / 2, 2}));
  p.rows = u32(x.shape[0]);
  p.table_rows = u32(in[1].shape[0]);
  parameters = Parameters(p);
  return {.outputs = {x}, .in_place = 1};
}

// a rotation's gradient is the rotation back
void vjp(Backward& b, const OpNode& n) {
  const ValueId dy = b.cotangent(n.outputs[0]);
  if (!dy.present()) return;
  auto p = n.parameters.as<abi::Rope>();
  p.inverse = p.inverse ? 0 : 1;
  b.add(n.inputs[2], b.emit(n, OpId::rope, Parameters(p), {n.inputs[0], n.inputs[1], dy})[0]);
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = 3 * operands[2].shape.count(), .bytes = operands[0].bytes() + 2 * operands[2].bytes()};
}

}  // namespace

const Op rope{.infer = infer, .vjp = vjp, .cost = cost, .budget = always<Budget::elementwise>};

}  // namespace tandem::ops
