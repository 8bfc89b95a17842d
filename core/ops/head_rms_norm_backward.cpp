// dy (rows, heads * head_dim) stacked q | k | v, x as dy, q_weight and k_weight (head_dim), rstd (rows, q_heads +
// kv_heads) f32 -> dx as dy. The caller sets q_heads, kv_heads and head_dim.
#include "core/abi/head_rms_norm_backward.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::HeadRmsNormBackward>();
  const Inputs in("head_rms_norm_backward", inputs, 5, 5);
  const TensorDesc& dy = in.heads(0, "dy", p.q_heads, p.kv_heads, p.head_dim);
  in.expect(1, "x", dy);
  in.expect(2, "q_weight", {dy.dtype, {p.head_dim}});
  in.expect(3, "k_weight", {dy.dtype, {p.head_dim}});
  in.expect(4, "rstd", f32_desc({dy.shape[0], uint64_t(p.q_heads) + p.kv_heads}));
  p.rows = u32(dy.shape[0]);
  parameters = Parameters(p);
  return {.outputs = {dy}};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = 9 * operands[0].shape.count(), .bytes = bytes_of(operands)};
}

}  // namespace

const Op head_rms_norm_backward{.infer = infer, .cost = cost};

}  // namespace tandem::ops
