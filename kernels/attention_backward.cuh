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

// What one block works on: a tile of queries of a head of a sequence.
template <typename T>
struct QueryTile {
  int first, last, rows;  // rows: of the sequence
  uint32_t sequence, head, kv_head;
  HeadRows<const T> q, k, v, dout;
  HeadRows<T> dq;
  const int32_t* positions;
  const float *lse, *delta;

  __device__ QueryTile(const abi::AttentionBackward& p, const BackwardOperands<T>& o, uint32_t tile_rows) {
    sequence = blockIdx.x / p.q_heads % p.batch;
    head = blockIdx.x % p.q_heads;
    kv_head = head / (p.q_heads / p.kv_heads);
    rows = int(p.sequence_length);
    const SequenceRows<T> s(p, sequence);
    first = int((ceil_div(p.sequence_length, tile_rows) - 1 - blockIdx.x / p.q_heads / p.batch) * tile_rows);
    last = min(first + int(tile_rows), rows) - 1;
    q = s.stacked(o.qkv, head);
    k = s.stacked(o.qkv, p.q_heads + kv_head);
    v = s.stacked(o.qkv, p.q_heads + p.kv_heads + kv_head);
    dq = s.stacked(o.dqkv, head);
    dout = s.dout(o.dout, head);
    positions = o.positions + s.row0;
    const uint32_t stats = (sequence * p.q_heads + head) * p.sequence_length;
    lse = o.lse + stats;
    delta = o.delta + stats;
  }
};

// What one block works on: a tile of keys of a key head of a sequence.
template <typename T>
struct KeyTile {
  int first, last, rows;           // rows: of the sequence
  uint32_t sequence, head, group;  // head: the first of the group's query heads
  SequenceRows<T> s;
  HeadRows<const T> k, v;
  HeadRows<T> dk, dv;
  const int32_t* positions;

  __device__ KeyTile(const abi::AttentionBackward& p, const BackwardOperands<T>& o, uint32_t tile_rows)
      : s(p, blockIdx.x / p.kv_heads % p.batch) {
    const uint32_t kv_head = blockIdx.x % p.kv_heads;
    rows = int(p.sequence_length);
    first = int(blockIdx.x / p.kv_heads / p.batch * tile_rows);
    last = min(first + int(tile_rows), rows) - 1;
    sequence = blockIdx.x / p.kv_heads % p.batch;
    group = p.q_heads / p.kv_heads;
    head = kv_head * group;
    k = s.stacked(o.qkv, p.q_heads + kv_head);
    v = s.stacked(o.qkv, p.q_heads + p.kv_heads + kv_head);
    dk = s.stacked(o.dqkv, p.q_heads + kv_head);
    dv = s.stacked(o.dqkv, p.q_heads + p.kv_heads + kv_head);
    positions = o.positions + s.row0;
  }

  // into shared memory, how many tiles of queries from the one at `from` on see some of the keys; every thread calls it
  __device__ void count_tiles(uint32_t* count, int from, int tile_rows) const {
    if (threadIdx.x == 0) *count = 1;
    __syncthreads();
    for (int i = 1 + int(threadIdx.x); from + i * tile_rows < rows; i += int(blockDim.x))
      if (first_key(positions, from + i * tile_rows) <= last) atomicMax(count, uint32_t(i + 1));
    __syncthreads();
  }
};

constexpr float kLog2E = 1.44269504f;

}  // namespace tandem::kernels
