// attention_backward_query: see core/abi/attention_backward.h. Reads qkv, positions, dout, lse and delta, writes the q
// part of dqkv; keys and values once a tile of queries. FLOPs: 6 head_dim for each query, head and key seen: three
// matrix products. bf16: a block makes 128 queries of a head (64 from head_dim 129 on), a warp 32 (16) of them, over
// tiles of 32 (16) keys; of all heads and sequences the heaviest tiles of queries first. Keys and values are
// fetched a tile ahead (values from head_dim 97 on only while keys are multiplied). Sums: keys in order, tile by tile,
// as mma.sync adds inside of 16; ds is bf16 in the product with the keys. f32: fused multiply-adds in the order of keys
// and of elements.
#include "kernels/attention_backward.cuh"
#include "kernels/hopper.h"

namespace tandem::kernels {
namespace {

// scores = queries keys^T, ds = dout values^T, a step of both in turn, so that the sums of one wait for no other
template <int kDim, int kM, int kN, typename Left>
__device__ __forceinline__ void multiply_both(float (&scores)[kM][kN][4], float (&ds)[kM][kN][4], const Left& queries,
                                              const Left& dout, const bf16* keys, const bf16* values) {
  clear(scores);
  clear(ds);
#pragma unroll
  for (int k = 0; k < kDim / 16; ++k) {
    multiply_transposed_step<kDim>(scores, queries, keys, k);
    multiply_transposed_step<kDim>(ds, dout, values, k);
  }
}

// Narrow heads leave a warp the registers to keep its queries and dout.
template <int kDim>
struct QueryGradientTile {
  static constexpr int kM = kDim > 128 ? 1 : 2, kKeys = kDim > 128 ? 16 : 32, kRows = int(kTileWarps) * 16 * kM;
  static constexpr int kValueTiles = kDim > 96 ? 1 : 2;  // as shared memory allows
  using Left = std::conditional_t<kDim <= 64, LeftOperand<kM, kDim / 16>, LeftRows<kDim, kM>>;
  static constexpr size_t kBytes =
      tile_bytes<kDim>(2 * kRows + (2 + kValueTiles) * kKeys) + sizeof(int) * size_t(kRows);
};

template <int kDim>
__global__ void __launch_bounds__(kTileThreads, 2)
    attention_backward_query_bf16(abi::AttentionBackward p, const BackwardOperands<bf16> operands) {
  using Tile = QueryGradientTile<kDim>;
  constexpr int kM = Tile::kM, kKeys = Tile::kKeys, kN = kKeys / 8, kStride = kTileStride<kDim>;
  DYN_SHARED(bf16, queries);
  bf16* const dout = queries + Tile::kRows * kStride;
  bf16* const values = dout + Tile::kRows * kStride;
  bf16* const keys = values + Tile::kValueTiles * kKeys * kStride;            // two tiles
  int* const row_first = reinterpret_cast<int*>(keys + 2 * kKeys * kStride);  // the first key that each row sees
  const QueryTile<bf16> tile(p, operands, Tile::kRows);
  const int lane = int(threadIdx.x % 32), warp_row = warp_number() * 16 * kM, row0 = tile.first + warp_row;
  const int warp_last = min(tile.last, row0 + 16 * kM - 1), first = first_key(tile.positions, tile.first);
  const bool present = row0 <= tile.last;
  const int warp_first = present ? first_key(tile.positions, row0) : 0;
  const int inside = present ? first_key(tile.positions, warp_last) : 0;  // all rows see from here to row0
  bf16* const own = queries + warp_row * kStride;

  load_tile<Tile::kRows, kDim>(queries, tile.q, tile.first, tile.first, tile.last);
  load_tile<Tile::kRows, kDim>(dout, tile.dout, tile.first, tile.first, tile.last);
  int key = first / kKeys * kKeys;
  load_tile<kKeys, kDim>(keys, tile.k, key, first, tile.last);
  load_tile<kKeys, kDim>(values, tile.v, key, first, tile.last);
  cp_async_commit();

  for (int row = int(threadIdx.x); row < Tile::kRows; row += int(kTileThreads))
    row_first[row] = first_key(tile.positions, min(tile.last, tile.first + row));
  float offset[kM][2], delta[kM][2];
#pragma unroll
  for (int m = 0; m < kM; ++m)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int t = min(tile.last, row0 + m * 16 + h * 8 + lane / 4);
      offset[m][h] = tile.lse[t] * kLog2E;
      delta[m][h] = tile.delta[t];
    }

  cp_async_wait<0>();
  __syncthreads();  // queries and dout are there
  const typename Tile::Left left_queries(queries + warp_row * kStride), left_dout(dout + warp_row * kStride);

  const float scale_log2 = p.scale * kLog2E;
  float dq[kM][kDim / 8][4] = {};
  for (int turn = 0; key <= tile.last; key += kKeys, turn ^= 1) {
    const bool sees = present && key <= warp_last && key + kKeys > warp_first, more = key + kKeys <= tile.last;
    const bf16* const now = keys + turn * kKeys * kStride;
    const auto load_next = [&](bf16* to, const HeadRows<const bf16>& x) {
      if (more) load_tile<kKeys, kDim>(to, x, key + kKeys, first, tile.last);
    };
    cp_async_wait<0>();
    __syncthreads();  // this tile is there, the one of before done with
    load_next(keys + (turn ^ 1) * kKeys * kStride, tile.k);
    if constexpr (Tile::kValueTiles == 2) load_next(values + (turn ^ 1) * kKeys * kStride, tile.v);
    cp_async_commit();
    float scores[kM][kN][4], ds[kM][kN][4];
    const bf16* const now_values = values + turn % Tile::kValueTiles * kKeys * kStride;
    if (sees) multiply_both<kDim>(scores, ds, left_queries, left_dout, now, now_values);
    if constexpr (Tile::kValueTiles == 1) {
      __syncthreads();  // the values are done with
      load_next(values, tile.v);
      cp_async_commit();
    }
    if (!sees) continue;
    if (key + kKeys - 1 > row0 || key < inside) hide_unseen(scores, row0, key, row_first + warp_row);
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int n = 0; n < kN; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          ds[m][n][e] =
              exp2_approximate(fmaf(scores[m][n][e], scale_log2, -offset[m][e / 2])) * (ds[m][n][e] - delta[m][e / 2]);
    multiply<kDim>(dq, LeftOperand<kM, kN / 2>(ds), now);
  }
  float factor[kM][2];
  for (int m = 0; m < kM; ++m) factor[m][0] = factor[m][1] = p.scale;
  store_rows<kDim>(tile.dq, own, dq, factor, row0, tile.first, tile.last);
}

template <int kDim>
__global__ void __launch_bounds__(kF32Threads, 1)
    attention_backward_query_f32(abi::AttentionBackward p, const BackwardOperands<float> operands) {
  DYN_SHARED(float, queries);
  float* const dout = queries + kOwnRows * kF32Stride<kDim>;
  float* const others = dout + kOwnRows * kF32Stride<kDim>;
  float* const weights = others + kOtherRows * kF32Stride<kDim>;
  const QueryTile<float> tile(p, operands, kOwnRows);
  const int y = int(threadIdx.x) / 16, x = int(threadIdx.x) % 16, rows = tile.last + 1;
  int row[2], first[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    row[h] = min(tile.first + y + h * 16, tile.last);
    first[h] = first_key(tile.positions, row[h]);
  }
  float dq[2][kDim / 16] = {};
  load_f32<kOwnRows, kDim>(queries, tile.q, tile.first, rows);
  load_f32<kOwnRows, kDim>(dout, tile.dout, tile.first, rows);
  for (int key = first_key(tile.positions, tile.first) / kOtherRows * kOtherRows; key <= tile.last; key += kOtherRows) {
    const auto seen = [&](int h, int i) { return key + i <= row[h] && key + i >= first[h]; };
    float score[2], ds[2];
    __syncthreads();  // the keys of before are done with
    load_f32<kOtherRows, kDim>(others, tile.v, key, rows);
    __syncthreads();
    dot_f32<kDim>(ds, dout, others);
    __syncthreads();  // the values are done with
    load_f32<kOtherRows, kDim>(others, tile.k, key, rows);
    __syncthreads();
    dot_f32<kDim>(score, queries, others);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float weight = abi::exp_f32(fmaf(score[h], p.scale, -tile.lse[row[h]]));
      weights[(y + h * 16) * kWeightStride + x] = weight * (ds[h] - tile.delta[row[h]]);
    }
    __syncthreads();
    mix_f32<kDim>(dq, weights, others, seen);
  }
  const float factor[2] = {p.scale, p.scale};
  store_f32<kDim>(tile.dq, dq, factor, tile.first, rows);
}

}  // namespace

bool attention_backward_query(const Call& call, Stream stream) {
  if (attention_backward_query_hopper(call, stream)) return true;
  const auto& p = call.as<abi::AttentionBackward>();
  const auto blocks = [&](uint32_t rows) { return dim3(ceil_div(p.sequence_length, rows) * p.q_heads * p.batch); };
  if (call.dtype(0) == DType::f32) {
    with_f32_dim(p.head_dim, [&](auto dim) {
      constexpr int kDim = decltype(dim)::value;
      launch(attention_backward_query_f32<kDim>, blocks(kOwnRows), dim3(kF32Threads), f32_bytes<kDim>(2), stream, p,
             BackwardOperands<float>(call));
    });
    return true;
  }
  if (call.dtype(0) != DType::bf16) return false;
  with_tile_dim(p.head_dim, [&](auto dim) {
    constexpr int kDim = decltype(dim)::value;
    using Tile = QueryGradientTile<kDim>;
    launch(attention_backward_query_bf16<kDim>, blocks(Tile::kRows), dim3(kTileThreads), Tile::kBytes, stream, p,
           BackwardOperands<bf16>(call));
  });
  return true;
}

}  // namespace tandem::kernels
