// attention_backward_key_value for bf16: 64 keys of a key head a block (32 from head_dim 129 on), two pairs of warps
// with half of them each. Of a pair one warp makes dv: scores, weights, their product with dout. The other makes dk:
// products of values and dout, with the weights that it gets from the first by way of shared memory the gradients of
// the scores, their product with the queries. So each holds one sum and one left operand, and every fragment read feeds
// 32 keys. The second warp is a tile behind the first; four tiles of queries and dout take turns: the next one, that of
// the first warp, that of the second, and the one of before, whose last product is made together with the next scores.
#pragma once

#include "kernels/attention_backward.cuh"

namespace tandem::kernels {

// what the queries of a tile bring besides their rows; zeros past the sequence's end
template <int kQueries>
struct QueryStats {
  float lse[kQueries], delta[kQueries];
  int position[kQueries];
};
// starts the copy for queries t ... of a head
template <int kQueries>
__device__ __forceinline__ void load_stats(QueryStats<kQueries>& to, const abi::AttentionBackward& p,
                                           const BackwardOperands<bf16>& o, const KeyTile<bf16>& tile, uint32_t head,
                                           int t) {
  const uint32_t at = (tile.sequence * p.q_heads + head) * p.sequence_length;
  const int warp = int(threadIdx.x / 32);
  for (int i = int(threadIdx.x % 32); i < kQueries; i += 32) {
    const int query = t + i;
    const uint32_t bytes = query < tile.rows ? 4 : 0;
    if (warp == 0) cp_async4(to.lse + i, o.lse + at + uint32_t(query), bytes);
    if (warp == 1) cp_async4(to.delta + i, o.delta + at + uint32_t(query), bytes);
    if (warp == 2) cp_async4(to.position + i, tile.positions + query, bytes);
  }
}

template <int kDim>
struct KeyGradientTile {
  static constexpr int kM = kDim > 128 ? 1 : 2, kRows = 2 * 16 * kM, kQueries = kRows / 2, kStages = 4;
  static constexpr int kPacks = kQueries / 16 * kM * 32;  // four words each: the weights that a warp makes of a tile
  using Stats = QueryStats<kQueries>;
  static constexpr size_t kBytes =
      tile_bytes<kDim>(kStages * 2 * kQueries) + 4 * kPacks * sizeof(uint4) + kStages * sizeof(Stats) + 16;
};

// scores (keys, queries) become minus infinity where the query does not see the key
template <int kM, int kN>
__device__ __forceinline__ void hide_unseeing(float (&scores)[kM][kN][4], const int* positions, int row0, int column0) {
  const int lane = int(threadIdx.x % 32);
#pragma unroll
  for (int n = 0; n < kN; ++n)
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int column = n * 8 + lane % 4 * 2 + e, query = column0 + column;
      const int first = query - int(min(uint32_t(query), uint32_t(positions[column])));
#pragma unroll
      for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const int key = row0 + m * 16 + h * 8 + lane / 4;
          const bool unseen = (key > query) | (key < first);
          scores[m][n][2 * h + e] = unseen ? abi::bits_float(0xff800000u) : scores[m][n][2 * h + e];
        }
    }
}

// scores (keys, queries) become weights
template <int kM, int kN>
__device__ __forceinline__ void weigh_queries(float (&scores)[kM][kN][4], const float* lse, float scale_log2) {
#pragma unroll
  for (int n = 0; n < kN; ++n) {
    float2 offset = reinterpret_cast<const float2*>(lse)[n * 4 + int(threadIdx.x % 4)];
    offset.x *= -kLog2E, offset.y *= -kLog2E;
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        scores[m][n][e] = exp2_approximate(fmaf(scores[m][n][e], scale_log2, e % 2 == 0 ? offset.x : offset.y));
  }
}

// ds: the products of values and dout, become the gradients of the scores
template <int kM, int kN>
__device__ __forceinline__ void weigh_gradients(float (&ds)[kM][kN][4], const LeftOperand<kM, kN / 2>& weights,
                                                const float* deltas) {
#pragma unroll
  for (int n = 0; n < kN; ++n) {
    const float2 delta = reinterpret_cast<const float2*>(deltas)[n * 4 + int(threadIdx.x % 4)];
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        float low, high;
        unpack_bf16(weights.words[n / 2][m][n % 2 * 2 + h], low, high);
        ds[m][n][2 * h] = low * (ds[m][n][2 * h] - delta.x);
        ds[m][n][2 * h + 1] = high * (ds[m][n][2 * h + 1] - delta.y);
      }
  }
}

// a left operand to and from shared memory; a lane's packs of four words are 32 packs apart
template <int kM, int kK>
__device__ __forceinline__ void put(uint4* to, const LeftOperand<kM, kK>& x) {
#pragma unroll
  for (int m = 0; m < kM; ++m)
#pragma unroll
    for (int k = 0; k < kK; ++k) {
      const uint32_t(&w)[4] = x.words[k][m];
      to[(m * kK + k) * 32] = make_uint4(w[0], w[1], w[2], w[3]);
    }
}
template <int kM, int kK>
__device__ __forceinline__ void get(LeftOperand<kM, kK>& x, const uint4* from) {
#pragma unroll
  for (int m = 0; m < kM; ++m)
#pragma unroll
    for (int k = 0; k < kK; ++k) {
      const uint4 w = from[(m * kK + k) * 32];
      x.words[k][m][0] = w.x, x.words[k][m][1] = w.y, x.words[k][m][2] = w.z, x.words[k][m][3] = w.w;
    }
}

// A place in the queries of the group: the tiles of a head, then those of the next. Each has the next stage.
struct QueryPlace {
  uint32_t head;
  int t, stage = 0;
  template <int kQueries, int kStages>
  __device__ __forceinline__ void advance(int from, int end) {
    t += kQueries;
    if (t >= end) t = from, ++head;
    stage = (stage + 1) % kStages;
  }
};

template <int kDim>
__global__ void __launch_bounds__(kTileThreads, 2)
    attention_backward_key_value_bf16(abi::AttentionBackward p, const BackwardOperands<bf16> operands) {
  using Tile = KeyGradientTile<kDim>;
  constexpr int kM = Tile::kM, kQueries = Tile::kQueries, kStride = kTileStride<kDim>, kStage = 2 * kQueries * kStride;
  DYN_SHARED(bf16, stages);  // each a tile of queries, then one of dout
  auto* const exchanged = reinterpret_cast<uint4*>(stages + Tile::kStages * kStage);
  auto* const stats = reinterpret_cast<typename Tile::Stats*>(exchanged + 4 * Tile::kPacks);
  uint32_t* const count = reinterpret_cast<uint32_t*>(stats + Tile::kStages);
  const KeyTile<bf16> tile(p, operands, Tile::kRows);
  const int lane = int(threadIdx.x % 32), warp = int(threadIdx.x / 32), pair = warp % 2;
  const int row0 = tile.first + pair * 16 * kM;
  const bool is_value = warp < 2;  // else the warp makes dk

  bf16 *const keys = stages + kStage, *const values = stages + 2 * kStage;
  load_tile<Tile::kRows, kDim>(keys, tile.k, tile.first, 0, tile.last);
  load_tile<Tile::kRows, kDim>(values, tile.v, tile.first, 0, tile.last);
  cp_async_commit();
  tile.count_tiles(count, tile.first, kQueries);
  const int end = tile.first + int(*count) * kQueries;
  QueryPlace next{tile.head, tile.first}, now{tile.head, tile.first};
  const auto load_next = [&] {
    bf16* const to = stages + next.stage * kStage;
    load_tile<kQueries, kDim>(to, tile.s.stacked(operands.qkv, next.head), next.t, 0, tile.rows - 1);
    load_tile<kQueries, kDim>(to + kQueries * kStride, tile.s.dout(operands.dout, next.head), next.t, 0, tile.rows - 1);
    load_stats(stats[next.stage], p, operands, tile, next.head, next.t);
    next.template advance<kQueries, Tile::kStages>(tile.first, end);
  };
  load_next();
  cp_async_commit();
  cp_async_wait<1>();
  __syncthreads();  // keys and values are there
  const LeftOperand<kM, kDim / 16> left((is_value ? keys : values) + pair * 16 * kM * kStride);

  const float scale_log2 = p.scale * kLog2E;
  float sum[kM][kDim / 8][4] = {};  // dv or dk
  using Factors = LeftOperand<kM, kQueries / 16>;
  Factors y;  // weights or gradients of scores, still to be multiplied with the rows at `pending`
  const bf16* pending = nullptr;
  const auto flush = [&] {
    if (pending != nullptr) multiply<kDim>(sum, y, pending);
    pending = nullptr;
  };
  const auto add_tile = [&](auto value) {
    constexpr bool kValue = decltype(value)::value;
    const typename Tile::Stats& s = stats[now.stage];
    const bf16 *const queries = stages + now.stage * kStage, *const dout = queries + kQueries * kStride;
    const bf16 *const first = kValue ? queries : dout, *const second = kValue ? dout : queries;
    uint4* const weights = exchanged + (now.stage % 2 * 2 + pair) * Tile::kPacks + lane;
    float x[kM][kQueries / 8][4];
    if (pending != nullptr) multiply_in_turn<kDim>(x, left, first, sum, y, pending);
    else multiply_transposed<kDim>(x, left, first);
    if constexpr (kValue) {
      const int from_last = now.t + kQueries - 1 - s.position[kQueries - 1];  // the first key that the last query sees
      if (now.t < row0 + 16 * kM - 1 || from_last > row0) hide_unseeing(x, s.position, row0, now.t);
      weigh_queries(x, s.lse, scale_log2);
      y = Factors(x);
      put(weights, y);
    } else {
      get(y, weights);
      weigh_gradients(x, y, s.delta);
      y = Factors(x);
    }
    pending = second;
  };
  const int tiles = int(*count) * int(tile.group);
  for (int i = 0; i <= tiles; ++i) {
    cp_async_wait<0>();
    __syncthreads();  // tile i is there, the weights of tile i - 1 are made
    if (i + 1 < tiles) load_next();
    cp_async_commit();
    if (is_value ? i < tiles : i > 0) {
      if (now.t + kQueries <= row0) flush();  // no query sees the warp's keys; the stage of `pending` is soon taken
      else if (is_value) add_tile(std::true_type{});
      else add_tile(std::false_type{});
      now.template advance<kQueries, Tile::kStages>(tile.first, end);
    }
  }
  flush();
  __syncthreads();  // the stages are free
  HeadRows<bf16> gradient = tile.dk;
  if (is_value) gradient.at = tile.dv.at;
  float factor[kM][2];
#pragma unroll
  for (int m = 0; m < kM; ++m) factor[m][0] = factor[m][1] = is_value ? 1.0f : p.scale;
  store_rows<kDim>(gradient, stages + warp * 16 * kM * kStride, sum, factor, row0, tile.first, tile.last);
}

}  // namespace tandem::kernels
