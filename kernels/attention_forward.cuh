// What the forward attention kernels share: a block's view of the operands, and the softmax over a warp's rows.
#pragma once

#include "core/abi/attention.h"
#include "kernels/attention_tile_f32.cuh"

namespace tandem::kernels {

constexpr float kLowest =
    -0x1p100f;  // finite and a power of two: two equal products with a scale differ by 0, not by NaN or a rounding

// What one block works on: a tile of queries of a head of a sequence.
template <typename T>
struct QueryTile {
  int first, last, rows;
  uint32_t sequence, head, kv_head;
  HeadRows<const T> q, k, v;
  HeadRows<T> out;
  const int32_t* all_positions;
  float* all_lse;
  uint32_t row0, lse_at;

  __device__ QueryTile(const abi::Attention& p, const T* qkv, const int32_t* positions_, T* out_, float* lse_,
                       uint32_t kRows)
      : all_positions(positions_), all_lse(lse_) {
    sequence = blockIdx.x / p.q_heads % p.batch;
    head = blockIdx.x % p.q_heads;
    kv_head = head / (p.q_heads / p.kv_heads);
    const uint32_t stride = (p.q_heads + 2 * p.kv_heads) * p.head_dim;
    row0 = sequence * p.sequence_length;
    rows = int(p.sequence_length);
    first = int((ceil_div(p.sequence_length, kRows) - 1 - blockIdx.x / p.q_heads / p.batch) * kRows);
    last = min(first + int(kRows), rows) - 1;
    q = {qkv, row0 * stride + head * p.head_dim, stride, p.head_dim};
    k = {qkv, row0 * stride + (p.q_heads + kv_head) * p.head_dim, stride, p.head_dim};
    v = {qkv, k.at + p.kv_heads * p.head_dim, stride, p.head_dim};
    out = {out_, (row0 * p.q_heads + head) * p.head_dim, p.q_heads * p.head_dim, p.head_dim};
    lse_at = (sequence * p.q_heads + head) * p.sequence_length;
  }
  __device__ __forceinline__ const int32_t* positions() const { return all_positions + row0; }
  __device__ __forceinline__ float& lse(int t) const { return all_lse[lse_at + uint32_t(t)]; }
};

// the largest score, the weights' sum and the weighted values of a lane's rows
template <int kDim, int kM>
struct OnlineSoftmax {
  float top[kM][2], sum[kM][2], mixed[kM][kDim / 8][4];

  __device__ __forceinline__ void reset() {
#pragma unroll
    for (int m = 0; m < kM; ++m) {
      for (int h = 0; h < 2; ++h) top[m][h] = kLowest, sum[m][h] = 0.0f;
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n)
        for (int e = 0; e < 4; ++e) mixed[m][n][e] = 0.0f;
    }
  }

  // Weights are relative to `top`, which a tile of scores raises only where one is kSlack powers of two above it: a
  // weight of 2^kSlack is as exact as one of 1, and sums are seldom rescaled.
  template <int kN>
  __device__ __forceinline__ void raise_top(const float (&scores)[kM][kN][4], float scale_log2) {
    constexpr float kSlack = 8.0f;
    float larger[kM][2];
    bool raise = false;
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        larger[m][h] = top[m][h];
#pragma unroll
        for (int n = 0; n < kN; ++n)
          larger[m][h] = fmaxf(larger[m][h], fmaxf(scores[m][n][2 * h], scores[m][n][2 * h + 1]));
        raise |= (larger[m][h] - top[m][h]) * scale_log2 > kSlack;
      }
    if (!__any_sync(kFullWarp, raise)) return;
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        float& l = larger[m][h];
        l = fmaxf(l, __shfl_xor_sync(kFullWarp, l, 1));
        l = fmaxf(l, __shfl_xor_sync(kFullWarp, l, 2));
        if (!((l - top[m][h]) * scale_log2 > kSlack)) l = top[m][h];
        const float old = exp2_approximate(fmaf(top[m][h], scale_log2, -(l * scale_log2)));
        top[m][h] = l;
        sum[m][h] *= old;
#pragma unroll
        for (int n = 0; n < kDim / 8; ++n) mixed[m][n][2 * h] *= old, mixed[m][n][2 * h + 1] *= old;
      }
  }

  // scores of keys 8 from ... 8 to - 1 become weights
  template <int kN>
  __device__ __forceinline__ void weigh(float (&scores)[kM][kN][4], int from, int to, float scale_log2) {
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const float offset = top[m][h] * scale_log2;
#pragma unroll
        for (int n = from; n < to; ++n)
#pragma unroll
          for (int e = 2 * h; e < 2 * h + 2; ++e) {
            scores[m][n][e] = exp2_approximate(fmaf(scores[m][n][e], scale_log2, -offset));
            sum[m][h] += scores[m][n][e];
          }
      }
  }

  // sums of whole rows; true where a finite sum weighs values that are not
  __device__ __forceinline__ bool finish() {
    bool lost = false;
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        sum[m][h] += __shfl_xor_sync(kFullWarp, sum[m][h], 1);
        sum[m][h] += __shfl_xor_sync(kFullWarp, sum[m][h], 2);
        float zero = 0.0f;
#pragma unroll
        for (int n = 0; n < kDim / 8; ++n)
          zero = fmaf(0.0f, mixed[m][n][2 * h], fmaf(0.0f, mixed[m][n][2 * h + 1], zero));
        lost |= zero != 0.0f && sum[m][h] == sum[m][h];
      }
    return lost;
  }
};

}  // namespace tandem::kernels
