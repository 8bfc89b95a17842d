// dy (rows, heads * head_dim) stacked q | k | v, x as dy, rstd (rows, q_heads + kv_heads) f32, q_g and k_g (head_dim)
// f32 or bf16 -> q_g, k_g in place. The caller sets q_heads, kv_heads and head_dim.
#include "core/abi/head_rms_norm_weight_gradient.h"

#include "core/ops/column_sum.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::HeadRmsNormWeightGradient>();
  const Inputs in("head_rms_norm_weight_gradient", inputs, 5, 5);
  const TensorDesc& dy = in.heads(0, "dy", p.q_heads, p.kv_heads, p.head_dim);
  in.expect(1, "x", dy);
  in.expect(2, "rstd", f32_desc({dy.shape[0], uint64_t(p.q_heads) + p.kv_heads}));
  in.expect(3, "q_g", {in.floats(3, "q_g").dtype, {p.head_dim}});
  in.expect(4, "k_g", in[3]);
  p.rows = u32(dy.shape[0]);
  parameters = Parameters(p);
  return {.outputs = {in[3], in[4]}, .in_place = 2};
}

Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::HeadRmsNormWeightGradient>();
  return {.flops = 3 * operands[0].shape.count(),
          .bytes = bytes_of(operands) + operands[3].bytes() + operands[4].bytes(),
          .workspace = column_sum_workspace(p.rows, (p.q_heads + p.kv_heads) * p.head_dim)};
}

}  // namespace

const Op head_rms_norm_weight_gradient{.infer = infer, .cost = cost};

}  // namespace tandem::ops
