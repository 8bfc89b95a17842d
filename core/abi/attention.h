// attention: causal, grouped heads: query t of a sequence sees keys t - positions[t] ... t (positions restart at a
// document start). out[t][h] = round(sum_j p_j v_j), p = softmax_j(scale q_t.k_j); lse = ln sum_j exp(scale q_t.k_j).
// Query head h reads key head h / (q_heads / kv_heads). operands: qkv (batch * sequence_length, q_heads + 2 kv_heads,
// head_dim) stacked q | k | v, positions (batch * sequence_length) i32, out (batch * sequence_length, q_heads,
// head_dim) as qkv, lse (batch, q_heads, sequence_length) f32.
#ifndef TANDEM_ABI_ATTENTION_H
#define TANDEM_ABI_ATTENTION_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct Attention {
  uint32_t batch, sequence_length;
  uint32_t q_heads, kv_heads;
  uint32_t head_dim;  // multiple of 8, up to 256
  float scale;        // 1 / sqrt(head_dim)
};

TANDEM_ABI_END(Attention)
#endif
