// attention: see core/abi/attention.h. Reads qkv and positions, writes out and lse; keys and values once a tile of
// queries. FLOPs: 4 head_dim for each query, head and key seen: two matrix products. bf16: the schedule of
// FlashAttention-2 (Dao 2023, arXiv 2307.08691). A block makes 128 queries of a head (64 from head_dim 129 on), a warp
// 32 (16) of them, over tiles of 64 keys (32 from head_dim 97 on), the heaviest tiles of queries first. While scores
// are made the tile's values arrive, while values are weighed the next tile's keys. Sums: keys in order, tile by tile,
// as mma.sync adds inside of 16; the weights' sum: a lane's keys in order, then a butterfly over the four lanes of a
// row. Both are rescaled whenever a tile raises the row's largest score. The weights are bf16 in the product with the
// values. f32: fused multiply-adds in the order of keys and of elements; the weights' sum: a tile's 16 by a butterfly,
// tiles in order.
#include "core/abi/attention.h"

#include "kernels/attention_tile_f32.cuh"

namespace tandem::kernels {
namespace {

constexpr float kLowest = -1e30f;  // a finite start, so that the difference of two largest scores is no NaN

// What one block works on: a tile of queries of a head of a sequence.
template <typename T>
struct QueryTile {
  int first, last, rows;
  HeadRows<const T> q, k, v;
  HeadRows<T> out;
  const int32_t* positions;
  float* lse;

  __device__ QueryTile(const abi::Attention& p, const T* qkv, const int32_t* all_positions, T* out_, float* all_lse,
                       uint32_t kRows) {
    const uint32_t tiles = ceil_div(p.sequence_length, kRows), head = blockIdx.x % p.q_heads;
    const uint32_t sequence = blockIdx.x / p.q_heads / tiles, kv_head = head / (p.q_heads / p.kv_heads);
    const uint32_t row0 = sequence * p.sequence_length, stride = (p.q_heads + 2 * p.kv_heads) * p.head_dim;
    rows = int(p.sequence_length);
    first = int((tiles - 1 - blockIdx.x / p.q_heads % tiles) * kRows);
    last = min(first + int(kRows), rows) - 1;
    q = {qkv, row0 * stride + head * p.head_dim, stride, p.head_dim};
    k = {qkv, row0 * stride + (p.q_heads + kv_head) * p.head_dim, stride, p.head_dim};
    v = {qkv, k.at + p.kv_heads * p.head_dim, stride, p.head_dim};
    out = {out_, (row0 * p.q_heads + head) * p.head_dim, p.q_heads * p.head_dim, p.head_dim};
    positions = all_positions + row0;
    lse = all_lse + (size_t(sequence) * p.q_heads + head) * p.sequence_length;
  }
};

template <int kDim>
struct ForwardTile {
  static constexpr int kM = kDim > 128 ? 1 : 2, kKeys = kDim > 96 ? 32 : 64, kRows = int(kTileWarps) * 16 * kM;
  // the output leaves by way of the tiles of keys and values
  static constexpr int kOthers = kRows > 2 * kKeys ? kRows : 2 * kKeys;
  static constexpr size_t kBytes = tile_bytes<kDim>(kRows + kOthers) + sizeof(int) * size_t(kRows) + 16;
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

  // scores become weights, relative to the largest score so far
  template <int kN>
  __device__ __forceinline__ void weigh(float (&scores)[kM][kN][4], float scale_log2) {
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        float larger = top[m][h];
#pragma unroll
        for (int n = 0; n < kN; ++n) larger = fmaxf(larger, fmaxf(scores[m][n][2 * h], scores[m][n][2 * h + 1]));
        larger = fmaxf(larger, __shfl_xor_sync(kFullWarp, larger, 1));
        larger = fmaxf(larger, __shfl_xor_sync(kFullWarp, larger, 2));
        const float offset = larger * scale_log2, old = exp2_tile(fmaf(top[m][h], scale_log2, -offset));
        top[m][h] = larger;
        sum[m][h] *= old;
        if (old != 1.0f)
#pragma unroll
          for (int n = 0; n < kDim / 8; ++n) mixed[m][n][2 * h] *= old, mixed[m][n][2 * h + 1] *= old;
#pragma unroll
        for (int n = 0; n < kN; ++n)
#pragma unroll
          for (int e = 2 * h; e < 2 * h + 2; ++e) {
            scores[m][n][e] = exp2_tile(fmaf(scores[m][n][e], scale_log2, -offset));
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

// Turn 0 makes the whole tile. Where a key weighs nothing because a query does not see it, a NaN among its values still
// spoils the query: then turn 1 + r makes row r alone, with only its own keys.
template <int kDim>
__global__ void __launch_bounds__(kTileThreads, 2)
    attention_bf16(abi::Attention p, float scale_log2, const bf16* __restrict__ qkv,
                   const int32_t* __restrict__ positions, bf16* __restrict__ out, float* __restrict__ lse) {
  using Tile = ForwardTile<kDim>;
  constexpr int kM = Tile::kM, kKeys = Tile::kKeys, kN = kKeys / 8;
  DYN_SHARED(bf16, queries);
  bf16* const keys = queries + Tile::kRows * kTileStride<kDim>;
  bf16* const values = keys + kKeys * kTileStride<kDim>;
  int* const row_first =
      reinterpret_cast<int*>(keys + Tile::kOthers * kTileStride<kDim>);  // the first key that each row sees
  uint32_t* const spoilt = reinterpret_cast<uint32_t*>(row_first + Tile::kRows);
  const QueryTile<bf16> tile(p, qkv, positions, out, lse, Tile::kRows);
  const int lane = int(threadIdx.x % 32), warp_row = int(threadIdx.x / 32) * 16 * kM, row0 = tile.first + warp_row;
  const bf16* const own = queries + warp_row * kTileStride<kDim>;
  if (threadIdx.x == 0) *spoilt = 0;
  load_tile<Tile::kRows, kDim>(queries, tile.q, tile.first, tile.first, tile.last);

  int turns = 1;
  for (int turn = 0; turn < turns; ++turn) {
    const int low = turn == 0 ? tile.first : tile.first + turn - 1, high = turn == 0 ? tile.last : low;
    const int first = first_key(tile.positions, low);
    const int warp_low = max(low, row0), warp_high = min(high, row0 + 16 * kM - 1);
    const int warp_first = warp_low <= warp_high ? first_key(tile.positions, warp_low) : 0;
    const int inside =
        warp_low <= warp_high ? first_key(tile.positions, warp_high) : 0;  // all rows see from here to warp_low
    for (int row = int(threadIdx.x); row < Tile::kRows; row += int(kTileThreads))
      row_first[row] = first_key(tile.positions, max(low, min(high, tile.first + row)));

    int key = first / kKeys * kKeys;
    load_tile<kKeys, kDim>(keys, tile.k, key, first, high);
    cp_async_commit();
    OnlineSoftmax<kDim, kM> rows;
    rows.reset();
    for (; key <= high; key += kKeys) {
      const bool sees = warp_low <= warp_high && key <= warp_high && key + kKeys > warp_first;
      cp_async_wait<0>();
      __syncthreads();  // the keys are there, the values of before done with
      load_tile<kKeys, kDim>(values, tile.v, key, first, high);
      cp_async_commit();
      float scores[kM][kN][4] = {};
      if (sees) multiply_transposed<kDim>(scores, own, keys);
      cp_async_wait<0>();
      __syncthreads();  // the values are there, the keys done with
      if (key + kKeys <= high) load_tile<kKeys, kDim>(keys, tile.k, key + kKeys, first, high);
      cp_async_commit();
      if (!sees) continue;
      if (key + kKeys - 1 > warp_low || key < inside) hide_unseen(scores, row0, key, row_first + warp_row);
      rows.weigh(scores, scale_log2);
      multiply<kDim>(rows.mixed, left_operand(scores), values);
    }

    const bool lost = rows.finish();
    if (turn == 0 && lost) atomicMax(spoilt, 1u);
    float factor[kM][2];
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        factor[m][h] = 1.0f / rows.sum[m][h];
        const int t = row0 + m * 16 + h * 8 + lane / 4;
        if (lane % 4 == 0 && t >= low && t <= high)
          tile.lse[t] = rows.top[m][h] * scale_log2 * 0.69314718f + abi::log_f32(rows.sum[m][h]);
      }
    __syncthreads();  // spoilt is settled, keys and values are done with
    if (*spoilt != 0) turns = 1 + tile.last - tile.first + 1;
    store_rows<kDim>(tile.out, keys + warp_row * kTileStride<kDim>, rows.mixed, factor, row0, low, high);
    __syncthreads();  // the tiles are free
  }
}

template <int kDim>
__global__ void __launch_bounds__(kF32Threads, 1)
    attention_f32(abi::Attention p, const float* __restrict__ qkv, const int32_t* __restrict__ positions,
                  float* __restrict__ out, float* __restrict__ lse) {
  DYN_SHARED(float, queries);
  float* const others = queries + kOwnRows * kF32Stride<kDim>;
  float* const weights = others + kOtherRows * kF32Stride<kDim>;
  const QueryTile<float> tile(p, qkv, positions, out, lse, kOwnRows);
  const int y = int(threadIdx.x) / 16, x = int(threadIdx.x) % 16;
  int row[2], first[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    row[h] = min(tile.first + y + h * 16, tile.last);
    first[h] = first_key(tile.positions, row[h]);
  }
  float mixed[2][kDim / 16] = {}, top[2] = {kLowest, kLowest}, sum[2] = {};
  load_f32<kOwnRows, kDim>(queries, tile.q, tile.first, tile.rows);
  for (int key = first_key(tile.positions, tile.first) / kOtherRows * kOtherRows; key <= tile.last; key += kOtherRows) {
    const auto seen = [&](int h, int i) { return key + i <= row[h] && key + i >= first[h]; };
    __syncthreads();  // the values of before are done with
    load_f32<kOtherRows, kDim>(others, tile.k, key, tile.rows);
    __syncthreads();
    float score[2];
    dot_f32<kDim>(score, queries, others);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      score[h] = seen(h, x) ? score[h] * p.scale : abi::bits_float(0xff800000u);
      float larger = fmaxf(top[h], score[h]);
      for (uint32_t step = 8; step > 0; step /= 2) larger = fmaxf(larger, __shfl_xor_sync(kFullWarp, larger, step));
      const float old = abi::exp_f32(top[h] - larger), weight = abi::exp_f32(score[h] - larger);
      top[h] = larger;
      sum[h] = fmaf(sum[h], old, warp_sum<16>(weight));
      for (float& m : mixed[h]) m *= old;
      weights[(y + h * 16) * kWeightStride + x] = weight;
    }
    __syncthreads();  // the keys are done with
    load_f32<kOtherRows, kDim>(others, tile.v, key, tile.rows);
    __syncthreads();
    mix_f32<kDim>(mixed, weights, others, seen);
  }
  const float factor[2] = {1.0f / sum[0], 1.0f / sum[1]};
  store_f32<kDim>(tile.out, mixed, factor, tile.first, tile.rows);
  for (int h = 0; h < 2; ++h)
    if (x == 0 && tile.first + y + h * 16 < tile.rows) tile.lse[row[h]] = top[h] + abi::log_f32(sum[h]);
}

}  // namespace

bool attention(const Call& call, Stream stream) {
  const auto& p = call.as<abi::Attention>();
  const auto blocks = [&](uint32_t rows) { return dim3(ceil_div(p.sequence_length, rows) * p.q_heads * p.batch); };
  const int32_t* const positions = call.data<int32_t>(1);
  float* const lse = call.data<float>(3);
  if (call.dtype(0) == DType::f32) {
    with_f32_dim(p.head_dim, [&](auto dim) {
      constexpr int kDim = decltype(dim)::value;
      launch(attention_f32<kDim>, blocks(kOwnRows), dim3(kF32Threads), f32_bytes<kDim>(1), stream, p,
             call.data<float>(0), positions, call.data<float>(2), lse);
    });
    return true;
  }
  if (call.dtype(0) != DType::bf16) return false;
  with_tile_dim(p.head_dim, [&](auto dim) {
    constexpr int kDim = decltype(dim)::value;
    using Tile = ForwardTile<kDim>;
    launch(attention_bf16<kDim>, blocks(Tile::kRows), dim3(kTileThreads), Tile::kBytes, stream, p,
           p.scale * 1.44269504f, call.data<bf16>(0), positions, call.data<bf16>(2), lse);
  });
  return true;
}

}  // namespace tandem::kernels
