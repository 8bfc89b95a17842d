// qkv (batch * sequence_length, (q_heads + 2 kv_heads) * head_dim), positions (batch * sequence_length) i32 -> out
// (batch * sequence_length, q_heads * head_dim), lse (batch, q_heads, sequence_length) f32. The caller sets
// sequence_length, q_heads, kv_heads, head_dim and scale.
#include "core/abi/attention.h"

#include "core/abi/attention_backward.h"
#include "core/abi/attention_delta.h"
#include "core/ops/attention_sizes.h"
#include "core/ops/vjp.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::Attention>();
  const Inputs in("attention", inputs, 2, 2);
  const TensorDesc& qkv = attention_inputs(in, p);
  parameters = Parameters(p);
  return {.outputs = {{qkv.dtype, {qkv.shape[0], uint64_t(p.q_heads) * p.head_dim}},
                      f32_desc({p.batch, p.q_heads, p.sequence_length})}};
}

void vjp(Backward& b, const OpNode& n) {
  const ValueId dout = b.cotangent(n.outputs[0]);
  if (!dout.present()) return;
  const auto p = n.parameters.as<abi::Attention>();
  const ValueId qkv = n.inputs[0], positions = n.inputs[1], out = n.outputs[0], lse = n.outputs[1];
  const Parameters delta(abi::AttentionDelta{0, p.sequence_length, p.q_heads, p.head_dim});
  const Parameters backward(abi::AttentionBackward{0, p.sequence_length, p.q_heads, p.kv_heads, p.head_dim, p.scale});
  const ValueId d = b.emit(n, OpId::attention_delta, delta, {dout, out})[0];
  const ValueId dq = b.emit(n, OpId::attention_backward_query, backward, {qkv, positions, dout, lse, d})[0];
  b.add(qkv, b.emit(n, OpId::attention_backward_key_value, backward, {qkv, positions, dout, lse, d, dq})[0]);
}

// q k and p v
Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::Attention>();
  return {.flops = 2 * causal_product_flops(p), .bytes = bytes_of(operands), .head_dim = p.head_dim};
}

}  // namespace

const Op attention{
    .infer = infer, .vjp = vjp, .cost = cost, .cost_class = CostClass::attention, .budget = always<Budget::attention>};

}  // namespace tandem::ops
