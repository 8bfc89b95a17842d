// qkv (1, (q_heads + 2 kv_heads) * head_dim), position (1) i32, cache (2, kv_heads, capacity, head_dim) as qkv -> out
// (1, q_heads * head_dim). The caller sets q_heads, kv_heads, head_dim and scale.
#include "core/abi/cached_attention.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::CachedAttention>();
  const Inputs in("cached_attention", inputs, 3, 3);
  const TensorDesc& qkv = in.heads(0, "qkv", p.q_heads, p.kv_heads, p.head_dim);
  require(qkv.shape[0] == 1 && in[2].shape.rank() == 4,
          "cached_attention: qkv is {}, cache {}, expected one token and four axes", qkv, in[2]);
  in.expect(1, "position", i32_desc({1}));
  in.expect(2, "cache", {qkv.dtype, {2, p.kv_heads, in[2].shape[2], p.head_dim}});
  p.capacity = u32(in[2].shape[2]);
  parameters = Parameters(p);
  return {.outputs = {{qkv.dtype, {1, uint64_t(p.q_heads) * p.head_dim}}}};
}

// cost of a full cache; workspace: of each head and part of the keys the weighted values, the largest score and the
// weights' sum
Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::CachedAttention>();
  const uint64_t parts = (uint64_t(p.capacity) + abi::kCachedAttentionPart - 1) / abi::kCachedAttentionPart;
  return {.flops = 4 * uint64_t(p.q_heads) * p.capacity * p.head_dim,
          .bytes = bytes_of(operands),
          .workspace = p.q_heads * parts * (p.head_dim + 2) * sizeof(float)};
}

}  // namespace

const Op cached_attention{.infer = infer, .cost = cost};

}  // namespace tandem::ops
