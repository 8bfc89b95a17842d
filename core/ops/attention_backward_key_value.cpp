// as attention_backward_query, then dqkv as qkv -> dqkv in place: its k and v parts
#include "core/ops/attention_sizes.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::AttentionBackward>();
  const Inputs in("attention_backward_key_value", inputs, 6, 6);
  const TensorDesc& qkv = attention_backward_inputs(in, p);
  in.expect(5, "dqkv", qkv);
  parameters = Parameters(p);
  return {.outputs = {qkv}, .in_place = 1};
}

// q k, dout v, ds q, p dout
Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::AttentionBackward>();
  return {.flops = 4 * causal_product_flops(p), .bytes = bytes_of(operands), .head_dim = p.head_dim};
}

}  // namespace

const Op attention_backward_key_value{.infer = infer,
                                      .cost = cost,
                                      .cost_class = CostClass::attention_backward,
                                      .budget = always<Budget::attention>,
                                      .split = {.by = SplitBy::sequences, .units = batch_of<abi::AttentionBackward>}};

}  // namespace tandem::ops
