// attention_delta: delta[b][h][t] = sum_d dout[t][h][d] * out[t][h][d], in f32.
// operands: dout (batch * sequence_length, q_heads, head_dim), out as dout, delta (batch, q_heads, sequence_length)
// f32.
#ifndef TANDEM_ABI_ATTENTION_DELTA_H
#define TANDEM_ABI_ATTENTION_DELTA_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct AttentionDelta {
  uint32_t batch, sequence_length;
  uint32_t q_heads;
  uint32_t head_dim;
};

TANDEM_ABI_END(AttentionDelta)
#endif
