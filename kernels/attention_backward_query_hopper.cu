// attention_backward_query on sm_90a for bf16 and head_dim 64 or 128: as attention_backward_query.cu, with products by
// warpgroups. Reads qkv, positions, dout, lse and delta, writes the q part of dqkv; keys and values once a tile of
// queries. FLOPs: 6 head_dim for each query, head and key seen: three matrix products. A block makes 128 queries of a
// head, a warpgroup 64 of them: for head_dim 64 over tiles of 64 keys, two blocks a multiprocessor; for 128 over tiles
// of 128 keys, one block. Scores are weighed while dout is multiplied with the values; gradients of 16 keys' scores are
// multiplied while those of the next are made. Tiles come by tensor map in two stages; of all heads and sequences the
// heaviest tiles of queries come first. Sums: keys in order, tile by tile, as wgmma adds inside of 16; ds is bf16 in
// the product with the keys.
#include "kernels/attention_backward.cuh"
#include "kernels/hopper.h"
#include "kernels/tensor_map.cuh"

namespace tandem::kernels {
namespace {

constexpr int kWarps = 8, kThreads = kWarps * 32, kRows = 2 * kWarpgroupRows, kStages = 2;

template <int kDim>
struct Shared {
  static constexpr int kKeys = kDim, kBlocks = kDim > 64 ? 1 : 2;  // blocks: of a multiprocessor
  bf16 queries[kRows * kDim], dout[kRows * kDim], keys[kStages][kKeys * kDim], values[kStages][kKeys * kDim];
  int row_first[kRows];  // the first key that each row sees
  uint64_t rows_here;
  Ring<kStages, kWarps> key_ring, value_ring;
};

// scores become weights
template <int kN>
__device__ __forceinline__ void weigh_keys(float (&scores)[kN][4], const float (&lse)[2], float scale_log2) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const float offset = lse[h] * kLog2E;
#pragma unroll
    for (int n = 0; n < kN; ++n)
#pragma unroll
      for (int e = 2 * h; e < 2 * h + 2; ++e) scores[n][e] = exp2_approximate(fmaf(scores[n][e], scale_log2, -offset));
  }
}

// the products of dout and values become gradients of scores, and dq gains their products with the keys
template <int kQ, int kN>
__device__ __forceinline__ void add_gradient(float (&dq)[kQ][4], const float (&weights)[kN][4], float (&ds)[kN][4],
                                             const float (&delta)[2], uint64_t keys) {
  uint32_t gradients[kN / 2][4];
#pragma unroll
  for (int k = 0; k < kN / 2; ++k) {
#pragma unroll
    for (int n = 2 * k; n < 2 * k + 2; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) ds[n][e] = weights[n][e] * (ds[n][e] - delta[e / 2]);
    pack_columns(gradients[k], ds, k);
    product_fence();
    multiply_registers(dq, gradients[k], keys + k * kStepOfRows);
  }
  product_commit();
  product_wait<0>();
  pin(dq);
}

template <int kDim>
__global__ void __launch_bounds__(kThreads, Shared<kDim>::kBlocks)
    attention_backward_query_warpgroups(abi::AttentionBackward p, const BackwardOperands<bf16> operands,
                                        const __grid_constant__ CUtensorMap map,
                                        const __grid_constant__ CUtensorMap dout_map) {
  constexpr int kKeys = Shared<kDim>::kKeys, kN = kKeys / 8;
  BOXES_SHARED(Shared<kDim>, s);
  const QueryTile<bf16> tile(p, operands, kRows);
  if (threadIdx.x == 0) {
    barrier_init(&s.rows_here);
    s.key_ring.init();
    s.value_ring.init();
    barrier_init_fence();
    const int column = int(tile.head) * kDim, sequence = int(tile.sequence);
    barrier_arrive(&s.rows_here, sizeof s.queries + sizeof s.dout);
    copy_boxes<kRows, kDim>(s.queries, map, column, tile.first, sequence, &s.rows_here);
    copy_boxes<kRows, kDim>(s.dout, dout_map, column, tile.first, sequence, &s.rows_here);
  }
  const int lane = int(threadIdx.x % 32), warp = warp_number(), row0 = tile.first + warp * 16;
  const GroupRows group(tile.positions, tile.first, tile.last, warp / 4);
  const int first = first_key(tile.positions, tile.first) / kKeys * kKeys, tiles = (tile.last - first) / kKeys + 1;

  using KeyRequest = TileRequest<kStages, kKeys, kDim>;  // for values too
  const int column = int(p.q_heads + tile.kv_head) * kDim, sequence = int(tile.sequence);
  const KeyRequest ask_keys{s.keys, map, column, first, sequence};
  const KeyRequest ask_values{s.values, map, column + int(p.kv_heads) * kDim, first, sequence};
  if (threadIdx.x == 0) {
    s.key_ring.fill(tiles, ask_keys);
    s.value_ring.fill(tiles, ask_values);
  }
  if (threadIdx.x < kRows)
    s.row_first[threadIdx.x] = first_key(tile.positions, min(tile.last, tile.first + int(threadIdx.x)));
  float lse[2], delta[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int t = min(tile.last, row0 + h * 8 + lane / 4);
    lse[h] = tile.lse[t];
    delta[h] = tile.delta[t];
  }
  __syncthreads();  // barriers and row_first are there
  barrier_wait(&s.rows_here, 0);

  const float scale_log2 = p.scale * kLog2E;
  const int group_at = warp / 4 * kWarpgroupRows * kBoxColumns;
  const uint64_t queries = tile_descriptor(s.queries + group_at, kRows),
                 dout = tile_descriptor(s.dout + group_at, kRows);
  float dq[1][kDim / 8][4];
  clear(dq);
  for (int i = 0; i < tiles; ++i) {
    const int key = first + i * kKeys;
    s.key_ring.wait(i);
    s.value_ring.wait(i);
    if (!group.sees(key, kKeys)) {
      s.value_ring.leave(i, tiles, ask_values);
      s.key_ring.leave(i, tiles, ask_keys);
      continue;
    }
    const uint64_t keys = tile_descriptor(s.keys[i % kStages], kKeys);
    float scores[1][kN][4], ds[kN][4];
    product_fence();
    multiply_transposed<kDim>(scores[0], queries, kRows, keys, kKeys);
    product_commit();
    multiply_transposed<kDim>(ds, dout, kRows, tile_descriptor(s.values[i % kStages], kKeys), kKeys);
    product_commit();
    product_wait<1>();
    pin(scores[0]);
    if (group.hides(key, kKeys)) hide_unseen(scores, row0, key, s.row_first + warp * 16);
    weigh_keys(scores[0], lse, scale_log2);
    product_wait<0>();
    pin(ds);
    s.value_ring.leave(i, tiles, ask_values);
    add_gradient(dq[0], scores[0], ds, delta, keys);
    s.key_ring.leave(i, tiles, ask_keys);
  }
#pragma unroll
  for (int h = 0; h < 2; ++h) store_row(tile.dq, dq[0], h, p.scale, row0 + h * 8 + lane / 4, tile.last);
}

template <int kDim>
bool launch_warpgroups(const Call& call, Stream stream) {
  const auto& p = call.as<abi::AttentionBackward>();
  CUtensorMap map, dout_map;
  if (!make_tensor_map(map, call.data<bf16>(0), p.batch, p.sequence_length, (p.q_heads + 2 * p.kv_heads) * kDim) ||
      !make_tensor_map(dout_map, call.data<bf16>(2), p.batch, p.sequence_length, p.q_heads * kDim))
    return false;
  launch(attention_backward_query_warpgroups<kDim>, dim3(ceil_div(p.sequence_length, kRows) * p.q_heads * p.batch),
         dim3(kThreads), sizeof(Shared<kDim>), stream, p, BackwardOperands<bf16>(call), map, dout_map);
  return true;
}

}  // namespace

bool attention_backward_query_hopper(const Call& call, Stream stream) {
  return launch_on_hopper(call, call.as<abi::AttentionBackward>().head_dim,
                          [&](auto dim) { return launch_warpgroups<dim>(call, stream); });
}

}  // namespace tandem::kernels
