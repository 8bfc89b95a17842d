// What attention and its backward ops share: sizes and checks of qkv and positions. P: abi::Attention or
// abi::AttentionBackward.
#pragma once

#include "core/abi/attention_backward.h"
#include "core/ops/inputs.h"

namespace tandem::ops {

// checks qkv (input 0) and positions (input 1), derives batch from the rows and the caller's length; returns qkv
template <typename P>
const TensorDesc& attention_inputs(const Inputs& in, P& p) {
  const TensorDesc& qkv = in.heads(0, "qkv", p.q_heads, p.kv_heads, p.head_dim);
  const uint64_t rows = qkv.shape[0];
  require(p.sequence_length > 0 && rows % p.sequence_length == 0,
          "attention: {} rows, expected a multiple of sequence_length {}", rows, p.sequence_length);
  in.expect(1, "positions", i32_desc({rows}));
  p.batch = u32(rows / p.sequence_length);
  return qkv;
}

template <typename P>
uint32_t batch_of(const Parameters& parameters, Operands) {
  return parameters.as<P>().batch;
}

// FLOPs of one product over the causal half of all (query, key) pairs
template <typename P>
uint64_t causal_product_flops(const P& p) {
  return uint64_t(p.batch) * p.q_heads * p.sequence_length * (uint64_t(p.sequence_length) + 1) * p.head_dim;
}

// qkv, positions, dout, lse and delta of both backward ops
inline const TensorDesc& attention_backward_inputs(const Inputs& in, abi::AttentionBackward& p) {
  const TensorDesc& qkv = attention_inputs(in, p);
  in.expect(2, "dout", {qkv.dtype, {qkv.shape[0], uint64_t(p.q_heads) * p.head_dim}});
  in.expect(3, "lse", f32_desc({p.batch, p.q_heads, p.sequence_length}));
  in.expect(4, "delta", f32_desc({p.batch, p.q_heads, p.sequence_length}));
  return qkv;
}

}  // namespace tandem::ops
