// attention_backward_key_value: see core/abi/attention_backward.h. Reads qkv, positions, dout, lse and delta, writes
// the k and v parts of dqkv; queries and dout once a tile of keys. FLOPs: 8 head_dim for each query, head and key seen:
// four matrix products. A block makes a tile of keys of a key head, over its group's query heads and for each the tiles
// of queries; of all heads and sequences the first keys, which most queries see, come first. All products are
// transposed: rows are keys. Sums: heads in order, then tiles of queries, for bf16 as mma.sync adds inside of 16; p is
// bf16 in the product with dout and in ds, ds is bf16 in the product with the queries. f32: fused multiply-adds in the
// order of heads, queries and elements.
#include "kernels/attention_backward_key_value_tile.cuh"
#include "kernels/hopper.h"

namespace tandem::kernels {
namespace {

template <int kDim>
__global__ void __launch_bounds__(kF32Threads, 1)
    attention_backward_key_value_f32(abi::AttentionBackward p, const BackwardOperands<float> operands) {
  DYN_SHARED(float, keys);
  float* const values = keys + kOwnRows * kF32Stride<kDim>;
  float* const others = values + kOwnRows * kF32Stride<kDim>;
  float* const weights = others + kOtherRows * kF32Stride<kDim>;
  float* const ds_weights = weights + kOwnRows * kWeightStride;
  uint32_t* const tiles = reinterpret_cast<uint32_t*>(ds_weights + kOwnRows * kWeightStride);
  const KeyTile<float> tile(p, operands, kOwnRows);
  const int y = int(threadIdx.x) / 16, x = int(threadIdx.x) % 16, key[2] = {tile.first + y, tile.first + y + 16};
  const int from = tile.first / kOtherRows * kOtherRows;
  load_f32<kOwnRows, kDim>(keys, tile.k, tile.first, tile.rows);
  load_f32<kOwnRows, kDim>(values, tile.v, tile.first, tile.rows);
  tile.count_tiles(tiles, from, kOtherRows);
  const int end = min(tile.rows, from + int(*tiles) * kOtherRows);

  float dk[2][kDim / 16] = {}, dv[2][kDim / 16] = {};
  for (uint32_t head = tile.head; head < tile.head + tile.group; ++head)
    for (int t = from; t < end; t += kOtherRows) {
      const HeadRows<const float> q = tile.s.stacked(operands.qkv, head), dout = tile.s.dout(operands.dout, head);
      const auto seen = [&](int h, int i) {
        return key[h] <= t + i && t + i < tile.rows && key[h] >= first_key(tile.positions, t + i);
      };
      const uint32_t at = (tile.sequence * p.q_heads + head) * p.sequence_length + uint32_t(min(t + x, tile.rows - 1));
      float score[2], ds[2];
      __syncthreads();  // the queries of before are done with
      load_f32<kOtherRows, kDim>(others, q, t, tile.rows);
      __syncthreads();
      dot_f32<kDim>(score, keys, others);
      __syncthreads();  // the queries are done with
      load_f32<kOtherRows, kDim>(others, dout, t, tile.rows);
      __syncthreads();
      dot_f32<kDim>(ds, values, others);
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const float weight = abi::exp_f32(fmaf(score[h], p.scale, -operands.lse[at]));
        weights[(y + h * 16) * kWeightStride + x] = weight;
        ds_weights[(y + h * 16) * kWeightStride + x] = weight * (ds[h] - operands.delta[at]);
      }
      __syncthreads();
      mix_f32<kDim>(dv, weights, others, seen);
      __syncthreads();  // dout is done with
      load_f32<kOtherRows, kDim>(others, q, t, tile.rows);
      __syncthreads();
      mix_f32<kDim>(dk, ds_weights, others, seen);
    }
  const float scaled[2] = {p.scale, p.scale}, as_is[2] = {1.0f, 1.0f};
  store_f32<kDim>(tile.dk, dk, scaled, tile.first, tile.rows);
  store_f32<kDim>(tile.dv, dv, as_is, tile.first, tile.rows);
}

}  // namespace

bool attention_backward_key_value(const Call& call, Stream stream) {
  if (attention_backward_key_value_hopper(call, stream)) return true;
  const auto& p = call.as<abi::AttentionBackward>();
  const auto blocks = [&](uint32_t rows) { return dim3(ceil_div(p.sequence_length, rows) * p.kv_heads * p.batch); };
  if (call.dtype(0) == DType::f32) {
    with_f32_dim(p.head_dim, [&](auto dim) {
      constexpr int kDim = decltype(dim)::value;
      launch(attention_backward_key_value_f32<kDim>, blocks(kOwnRows), dim3(kF32Threads), f32_bytes<kDim>(2) + 16,
             stream, p, BackwardOperands<float>(call));
    });
    return true;
  }
  if (call.dtype(0) != DType::bf16) return false;
  with_tile_dim(p.head_dim, [&](auto dim) {
    constexpr int kDim = decltype(dim)::value;
    using Tile = KeyGradientTile<kDim>;
    launch(attention_backward_key_value_bf16<kDim>, blocks(Tile::kRows), dim3(kTileThreads), Tile::kBytes, stream, p,
           BackwardOperands<bf16>(call));
  });
  return true;
}

}  // namespace tandem::kernels
