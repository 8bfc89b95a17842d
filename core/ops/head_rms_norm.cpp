// x (rows, heads * head_dim) stacked q | k | v, q_weight and k_weight (head_dim) -> y as x, rstd (rows, q_heads +
// kv_heads) f32. The caller sets q_heads, kv_heads, head_dim and epsilon.
#include "core/abi/head_rms_norm.h"

#include "core/abi/head_rms_norm_backward.h"
#include "core/abi/head_rms_norm_weight_gradient.h"
#include "core/ops/inputs.h"
#include "core/ops/vjp.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::HeadRmsNorm>();
  const Inputs in("head_rms_norm", inputs, 3, 3);
  const TensorDesc& x = in.heads(0, "x", p.q_heads, p.kv_heads, p.head_dim);
  in.expect(1, "q_weight", {x.dtype, {p.head_dim}});
  in.expect(2, "k_weight", {x.dtype, {p.head_dim}});
  p.rows = u32(x.shape[0]);
  parameters = Parameters(p);
  return {.outputs = {x, f32_desc({x.shape[0], uint64_t(p.q_heads) + p.kv_heads})}};
}

void vjp(Backward& b, const OpNode& n) {
  const ValueId dy = b.cotangent(n.outputs[0]);
  if (!dy.present()) return;
  const auto p = n.parameters.as<abi::HeadRmsNorm>();
  const ValueId x = n.inputs[0], q_weight = n.inputs[1], k_weight = n.inputs[2], rstd = n.outputs[1];
  if (b.has_accumulator(q_weight) && b.has_accumulator(k_weight)) {
    const abi::HeadRmsNormWeightGradient gradient{0, p.q_heads, p.kv_heads, p.head_dim};
    const auto g = b.emit(n, OpId::head_rms_norm_weight_gradient, Parameters(gradient),
                          {dy, x, rstd, b.accumulator(q_weight), b.accumulator(k_weight)});
    b.update_accumulator(q_weight, g[0]);
    b.update_accumulator(k_weight, g[1]);
  }
  const abi::HeadRmsNormBackward backward{0, p.q_heads, p.kv_heads, p.head_dim};
  b.add(x, b.emit(n, OpId::head_rms_norm_backward, Parameters(backward), {dy, x, q_weight, k_weight, rstd})[0]);
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = 4 * operands[0].shape.count(), .bytes = bytes_of(operands)};
}

}  // namespace

const Op head_rms_norm{.infer = infer, .vjp = vjp, .cost = cost};

}  // namespace tandem::ops
