// qkv, positions as in attention, dout (batch * sequence_length, q_heads * head_dim), lse and delta (batch, q_heads,
// sequence_length) f32
// -> dqkv as qkv, its q part. The caller sets sequence_length, q_heads, kv_heads, head_dim and scale.
#include "core/ops/attention_sizes.h"

namespace tandem::ops {
namespace {

Signature infer(std::span<const TensorDesc> inputs, Parameters& parameters) {
  auto p = parameters.as<abi::AttentionBackward>();
  const Inputs in("attention_backward_query", inputs, 5, 5);
  const TensorDesc& qkv = attention_backward_inputs(in, p);
  parameters = Parameters(p);
  return {.outputs = {qkv}};
}

// q k, dout v, ds k
Cost cost(const Parameters& parameters, std::span<const TensorDesc> operands) {
  return {.flops = 3 * causal_product_flops(parameters.as<abi::AttentionBackward>()), .bytes = bytes_of(operands)};
}

}  // namespace

const Op attention_backward_query{infer, nullptr, cost};

}  // namespace tandem::ops
