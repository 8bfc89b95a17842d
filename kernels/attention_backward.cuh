// What the two attention backward kernels share: a block's view of the operands.
#pragma once

#include "core/abi/attention_backward.h"
#include "kernels/attention_tile_f32.cuh"

namespace tandem::kernels {

// operands in the order of core/abi/attention_backward.h
template <typename T>
struct BackwardOperands {
  const T* qkv;
  const int32_t* positions;
  const T* dout;
  const float *lse, *delta;
  T* dqkv;

  explicit BackwardOperands(const Call& call)
      : qkv(call.data<T>(0)),
        positions(call.data<int32_t>(1)),
        dout(call.data<T>(2)),
        lse(call.data<float>(3)),
        delta(call.data<float>(4)),
        dqkv(call.data<T>(5)) {}
};

// rows of one sequence; head: among q | k | v of qkv, or of dout
template <typename T>
struct SequenceRows {
  uint32_t row0, stride, q_heads, head_dim;

  __device__ SequenceRows(const abi::AttentionBackward& p, uint32_t sequence)
      : row0(sequence * p.sequence_length),
        stride((p.q_heads + 2 * p.kv_heads) * p.head_dim),
        q_heads(p.q_heads),
        head_dim(p.head_dim) {}
  template <typename E>
  __device__ HeadRows<E> stacked(E* qkv, uint32_t head) const {
    return {qkv, row0 * stride + head * head_dim, stride, head_dim};
  }
  __device__ HeadRows<const T> dout(const T* dout, uint32_t head) const {
    return {dout, (row0 * q_heads + head) * head_dim, q_heads * head_dim, head_dim};
  }
};

constexpr float kLog2E = 1.44269504f;

}  // namespace tandem::kernels
