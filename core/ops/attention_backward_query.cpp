// qkv, positions as in attention, dout (batch * sequence_length, q_heads * head_dim), lse and delta (batch, q_heads,
// sequence_length) f32
// -> dqkv as qkv, its q part. The caller sets sequence_length, q_heads, kv_heads, head_dim and scale.
#include "core/ops/attention_sizes.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::AttentionBackward>();
  const Inputs in("attention_backward_query", inputs, 5, 5);
  const TensorDesc& qkv = attention_backward_inputs(in, p);
  parameters = Parameters(p);
  return {.outputs = {qkv}};
}

// q k, dout v, ds k
Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::AttentionBackward>();
  return {.flops = 3 * causal_product_flops(p), .bytes = bytes_of(operands), .head_dim = p.head_dim};
}

// the k and v parts are attention_backward_key_value's
Defined q_part(const Parameters& parameters, Operands, size_t) {
  const auto p = parameters.as<abi::AttentionBackward>();
  return {uint64_t(p.q_heads) * p.head_dim, uint64_t(p.q_heads + 2 * p.kv_heads) * p.head_dim};
}

}  // namespace

const Op attention_backward_query{.infer = infer,
                                  .cost = cost,
                                  .cost_class = CostClass::attention_backward,
                                  .budget = always<Budget::attention>,
                                  .defined = q_part,
                                  .split = {.by = SplitBy::sequences, .units = batch_of<abi::AttentionBackward>}};

}  // namespace tandem::ops
