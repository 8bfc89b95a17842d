// attention: see core/abi/attention.h. Reads qkv and positions, writes out and lse; keys and values once a tile of
// queries. FLOPs: 4 head_dim for each query, head and key seen: two matrix products. bf16: the schedule of
// FlashAttention-2 (Dao 2023, arXiv 2307.08691). A block makes 128 queries of a head over tiles of 64 keys, a warp 32
// of them (from head_dim 65 on 64 queries, 32 keys, 16 a warp); of all heads and sequences the heaviest tiles of
// queries first. A tile is weighed, then its values are mixed while the next tile's scores are made, while the values
// and keys after those arrive. Sums: keys in order, tile by tile, as mma.sync adds inside of 16; the weights' sum: a
// lane's keys in order, then a butterfly over the four lanes of a row. Both are rescaled when a tile's largest score
// passes the one that weights are relative to by a factor of 2^8. The weights are bf16 in the product with the values.
// f32: fused multiply-adds in the order of keys and of elements; the weights' sum: a tile's 16 by a butterfly, tiles in
// order.
#include "kernels/attention_forward.cuh"
#include "kernels/hopper.h"

namespace tandem::kernels {
namespace {

// Wide heads leave a warp the registers for 16 queries and 32 keys at a time.
template <int kDim>
struct ForwardTile {
  static constexpr int kM = kDim > 64 ? 1 : 2, kKeys = kDim > 64 ? 32 : 64, kRows = int(kTileWarps) * 16 * kM;
  static constexpr int kBlocks = kDim > 64 && kDim <= 128 ? 3 : 2;  // a multiprocessor's
  // two tiles of keys, two of values; the queries stand where all but the first will
  static constexpr int kTileRows = kKeys + (kRows > 3 * kKeys ? kRows : 3 * kKeys);
  static constexpr size_t kBytes = tile_bytes<kDim>(kTileRows) + sizeof(int) * size_t(kRows) + 16;
};

// Turn 0 makes the whole tile. Where a key weighs nothing because a query does not see it, a NaN among its values still
// spoils the query: then turn 1 + r makes row r alone, with only its own keys.
template <int kDim>
__global__ void __launch_bounds__(kTileThreads, ForwardTile<kDim>::kBlocks)
    attention_bf16(abi::Attention p, float scale_log2, const bf16* __restrict__ qkv,
                   const int32_t* __restrict__ positions, bf16* __restrict__ out, float* __restrict__ lse) {
  using Tile = ForwardTile<kDim>;
  constexpr int kM = Tile::kM, kKeys = Tile::kKeys, kN = kKeys / 8, kStride = kTileStride<kDim>;
  DYN_SHARED(bf16, keys);  // two tiles
  bf16 *const values = keys + 2 * kKeys * kStride, *const queries = keys + kKeys * kStride;
  int* const row_first = reinterpret_cast<int*>(keys + Tile::kTileRows * kStride);  // the first key that each row sees
  uint32_t* const spoilt = reinterpret_cast<uint32_t*>(row_first + Tile::kRows);
  const QueryTile<bf16> tile(p, qkv, positions, out, lse, Tile::kRows);
  const int lane = int(threadIdx.x % 32), warp_row = warp_number() * 16 * kM, row0 = tile.first + warp_row;
  if (threadIdx.x == 0) *spoilt = 0;
  const int first_of_all = first_key(tile.positions(), tile.first);  // before the queries, whose copy it would wait for
  load_tile<Tile::kRows, kDim>(queries, tile.q, tile.first, tile.first, tile.last);
  LeftOperand<kM, kDim / 16> own;

  int turns = 1;
  for (int turn = 0; turn < turns; ++turn) {
    const int low = turn == 0 ? tile.first : tile.first + turn - 1, high = turn == 0 ? tile.last : low;
    const int first = turn == 0 ? first_of_all : first_key(tile.positions(), low);
    const int warp_low = max(low, row0), warp_high = min(high, row0 + 16 * kM - 1);
    const bool present = warp_low <= warp_high;
    const int first_of_warp = present ? first_key(tile.positions(), warp_low) : 0;
    for (int row = int(threadIdx.x); row < Tile::kRows; row += int(kTileThreads))
      row_first[row] = first_key(tile.positions(), max(low, min(high, tile.first + row)));

    int key = first / kKeys * kKeys - kKeys;
    load_tile<kKeys, kDim>(keys, tile.k, key + kKeys, first, high);
    cp_async_commit();
    if (turn == 0) {
      cp_async_wait<0>();
      __syncthreads();  // the queries are there
      own = LeftOperand<kM, kDim / 16>(queries + warp_row * kStride);
    }
    OnlineSoftmax<kDim, kM> rows;
    rows.reset();
    float scores[kM][kN][4];
    bool sees = false;
    // The tile at `key` is weighed, its values are mixed while the next tile's scores are made.
    for (int parity = 1; key <= high; key += kKeys, parity ^= 1) {
      bf16 *const now_values = values + parity * kKeys * kStride, *const other_values =
                                                                      values + (parity ^ 1) * kKeys * kStride;
      bf16 *const now_keys = keys + parity * kKeys * kStride, *const next_keys = keys + (parity ^ 1) * kKeys * kStride;
      cp_async_wait<0>();
      __syncthreads();  // this tile's values and the next one's keys are there, those of before done with
      if (key + kKeys <= high) load_tile<kKeys, kDim>(other_values, tile.v, key + kKeys, first, high);
      if (key + 2 * kKeys <= high) load_tile<kKeys, kDim>(now_keys, tile.k, key + 2 * kKeys, first, high);
      cp_async_commit();
      const int warp_first = kDim >= 128 ? row_first[warp_row] : first_of_warp;  // wide heads have no register for it
      const bool sees_next = present && key + kKeys <= warp_high && key + 2 * kKeys > warp_first;
      LeftOperand<kM, kN / 2> weights;
      if (sees) {
        const int inside = row_first[warp_row + 16 * kM - 1];  // all rows see from here to warp_low
        if (key + kKeys - 1 > warp_low || key < inside) hide_unseen(scores, row0, key, row_first + warp_row);
        rows.raise_top(scores, scale_log2);
        rows.weigh(scores, 0, kN, scale_log2);
        weights = LeftOperand<kM, kN / 2>(scores);
      }
      if (sees && sees_next) multiply_in_turn<kDim>(scores, own, next_keys, rows.mixed, weights, now_values);
      else if (sees_next) multiply_transposed<kDim>(scores, own, next_keys);
      else if (sees) multiply<kDim>(rows.mixed, weights, now_values);
      sees = sees_next;
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
          tile.lse(t) = rows.top[m][h] * scale_log2 * 0.69314718f + abi::log_f32(rows.sum[m][h]);
      }
    __syncthreads();  // spoilt is settled, keys and values are done with
    if (*spoilt != 0) turns = 1 + tile.last - tile.first + 1;
    store_rows<kDim>(tile.out, keys + warp_row * kStride, rows.mixed, factor, row0, low, high);
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
    first[h] = first_key(tile.positions(), row[h]);
  }
  float mixed[2][kDim / 16] = {}, top[2] = {kLowest, kLowest}, sum[2] = {};
  load_f32<kOwnRows, kDim>(queries, tile.q, tile.first, tile.rows);
  for (int key = first_key(tile.positions(), tile.first) / kOtherRows * kOtherRows; key <= tile.last;
       key += kOtherRows) {
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
    if (x == 0 && tile.first + y + h * 16 < tile.rows) tile.lse(row[h]) = top[h] + abi::log_f32(sum[h]);
}

}  // namespace

bool attention(const Call& call, Stream stream) {
  if (attention_hopper(call, stream)) return true;
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
