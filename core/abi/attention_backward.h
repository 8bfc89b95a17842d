// attention_backward_query and attention_backward_key_value: with p_tj = exp(scale q_t.k_j - lse_t), ds_tj = p_tj
// (dout_t.v_j - delta_t): dq_t = round(scale sum_j ds_tj k_j), j ascending; dk_j = round(scale sum_t ds_tj q_t), dv_j =
// round(sum_t p_tj dout_t), over the group of query heads, then t. operands of both: qkv, positions as in attention,
// dout (batch * sequence_length, q_heads, head_dim), lse, delta (batch, q_heads, sequence_length) f32, dqkv as qkv; the
// first writes the q part of dqkv, the second the k and v parts, in place.
#ifndef TANDEM_ABI_ATTENTION_BACKWARD_H
#define TANDEM_ABI_ATTENTION_BACKWARD_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct AttentionBackward {
  uint32_t batch, sequence_length;
  uint32_t q_heads, kv_heads;
  uint32_t head_dim;  // multiple of 8, up to 256
  float scale;
};

TANDEM_ABI_END(AttentionBackward)
#endif
