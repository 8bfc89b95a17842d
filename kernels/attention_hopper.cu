// attention on sm_90a for bf16 and head_dim 64 or 128: as attention.cu, with products by warpgroups. Reads qkv and
// positions, writes out and lse; keys and values once a tile of queries. FLOPs: 4 head_dim for each query, head and key
// seen. A block makes 128 queries of a head, a warpgroup 64 of them, over tiles of 64 keys; two blocks a
// multiprocessor, so that of four warpgroups some multiply while others weigh: nothing else orders them. A warpgroup
// waits for a tile's scores, then for head_dim 64 weighs 16 keys at a time and lets their values be mixed while it
// weighs the next; for 128 that takes more registers than there are, so that all are weighed before values are mixed.
// Tiles come by tensor map in two stages. Of all heads and sequences the heaviest tiles of queries come first. Sums:
// keys in order, tile by tile, as wgmma adds inside of 16; the weights' sum: a lane's keys in order, then a butterfly
// over the four lanes of a row; both rescaled as in attention.cu. The weights are bf16 in the product with the values.
#include "kernels/attention_forward.cuh"
#include "kernels/hopper.h"
#include "kernels/tensor_map.cuh"

namespace tandem::kernels {
namespace {

constexpr int kWarps = 8, kThreads = kWarps * 32, kRows = 2 * kWarpgroupRows, kKeys = 64, kN = kKeys / 8, kStages = 2;

template <int kDim>
struct Shared {
  bf16 queries[kRows * kDim], keys[kStages][kKeys * kDim], values[kStages][kKeys * kDim];
  int row_first[kRows];  // the first key that each row sees
  uint64_t queries_here;
  Ring<kStages, kWarps> key_ring, value_ring;
};

// A row by one warp, f32, fused multiply-adds, its own keys in order: where a NaN among values that a row does not see
// met a weight of 0.
template <int kDim>
__device__ __forceinline__ void attend_alone(const QueryTile<bf16>& tile, int t, float scale) {
  constexpr int kMine = kDim / 32;
  const int lane = int(threadIdx.x % 32);
  const auto load = [&](float(&to)[kMine], const HeadRows<const bf16>& x, int row) {
#pragma unroll
    for (int i = 0; i < kMine; ++i) to[i] = to_float(x.row(row)[lane * kMine + i]);
  };
  float q[kMine], k[kMine], v[kMine], mixed[kMine] = {}, top = kLowest, sum = 0.0f;
  load(q, tile.q, t);
  for (int key = first_key(tile.positions(), t); key <= t; ++key) {
    load(k, tile.k, key);
    load(v, tile.v, key);
    float score = 0.0f;
#pragma unroll
    for (int i = 0; i < kMine; ++i) score = fmaf(q[i], k[i], score);
    score = warp_sum(score) * scale;
    const float larger = fmaxf(top, score), old = abi::exp_f32(top - larger), weight = abi::exp_f32(score - larger);
    top = larger;
    sum = fmaf(sum, old, weight);
#pragma unroll
    for (int i = 0; i < kMine; ++i) mixed[i] = fmaf(weight, v[i], mixed[i] * old);
  }
#pragma unroll
  for (int i = 0; i < kMine; ++i) tile.out.row(t)[lane * kMine + i] = from_float<bf16>(mixed[i] / sum);
  if (lane == 0) tile.lse(t) = top + abi::log_f32(sum);
}

// scores of a tile become weights and mix the values
template <int kDim>
__device__ __forceinline__ void mix(OnlineSoftmax<kDim, 1>& rows, float (&scores)[1][kN][4], float scale_log2,
                                    uint64_t values) {
  constexpr int kTogether = kDim > 64 ? kN / 2 : 1;  // 16 keys each, weighed before the first is multiplied
  uint32_t weights[kN / 2][4];
#pragma unroll
  for (int from = 0; from < kN / 2; from += kTogether) {
#pragma unroll
    for (int k = from; k < from + kTogether; ++k) {
      rows.weigh(scores, 2 * k, 2 * k + 2, scale_log2);
      pack_columns(weights[k], scores[0], k);
    }
    product_fence();
#pragma unroll
    for (int k = from; k < from + kTogether; ++k)
      multiply_registers(rows.mixed[0], weights[k], values + k * kStepOfRows);
  }
  product_commit();
  product_wait<0>();
  pin(rows.mixed[0]);
}

// the warp's rows, and their lse
template <int kDim>
__device__ __forceinline__ void finish(OnlineSoftmax<kDim, 1>& rows, const QueryTile<bf16>& tile, int row0, float scale,
                                       float scale_log2) {
  const int lane = int(threadIdx.x % 32);
  const bool lost = rows.finish();
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int t = row0 + h * 8 + lane / 4;
    store_row(tile.out, rows.mixed[0], h, 1.0f / rows.sum[0][h], t, tile.last);
    if (lane % 4 == 0 && t <= tile.last)
      tile.lse(t) = rows.top[0][h] * scale_log2 * 0.69314718f + abi::log_f32(rows.sum[0][h]);
  }
  if (!__any_sync(kFullWarp, lost)) return;
  __syncwarp();  // what was stored is written over
  for (int t = row0; t <= min(tile.last, row0 + 15); ++t) attend_alone<kDim>(tile, t, scale);
}

template <int kDim>
__global__ void __launch_bounds__(kThreads, 2)
    attention_warpgroups(abi::Attention p, float scale_log2, const __grid_constant__ CUtensorMap map,
                         const bf16* __restrict__ qkv, const int32_t* __restrict__ positions, bf16* __restrict__ out,
                         float* __restrict__ lse) {
  BOXES_SHARED(Shared<kDim>, s);
  const QueryTile<bf16> tile(p, qkv, positions, out, lse, kRows);
  if (threadIdx.x == 0) {
    barrier_init(&s.queries_here);
    s.key_ring.init();
    s.value_ring.init();
    barrier_init_fence();
    copy_tile<kRows, kDim>(s.queries, map, int(tile.head) * kDim, tile.first, int(tile.sequence), &s.queries_here);
  }
  const int warp = warp_number(), row0 = tile.first + warp * 16;
  const GroupRows group(tile.positions(), tile.first, tile.last, warp / 4);
  const int first = first_key(tile.positions(), tile.first) / kKeys * kKeys, tiles = (tile.last - first) / kKeys + 1;

  using KeyRequest = TileRequest<kStages, kKeys, kDim>;  // for values too
  const int column = int(p.q_heads + tile.kv_head) * kDim, sequence = int(tile.sequence);
  const KeyRequest ask_keys{s.keys, map, column, first, sequence};
  const KeyRequest ask_values{s.values, map, column + int(p.kv_heads) * kDim, first, sequence};
  if (threadIdx.x == 0) {
    s.key_ring.fill(tiles, ask_keys);
    s.value_ring.fill(tiles, ask_values);
  }
  if (threadIdx.x < kRows)
    s.row_first[threadIdx.x] = first_key(tile.positions(), min(tile.last, tile.first + int(threadIdx.x)));
  __syncthreads();  // barriers and row_first are there
  barrier_wait(&s.queries_here, 0);

  const uint64_t own = tile_descriptor(s.queries + warp / 4 * kWarpgroupRows * kBoxColumns, kRows);
  OnlineSoftmax<kDim, 1> rows;
  rows.reset();
  for (int i = 0; i < tiles; ++i) {
    const int key = first + i * kKeys;
    s.key_ring.wait(i);
    if (!group.sees(key, kKeys)) {
      s.key_ring.leave(i, tiles, ask_keys);
      s.value_ring.wait(i);
      s.value_ring.leave(i, tiles, ask_values);
      continue;
    }
    float scores[1][kN][4];
    product_fence();
    multiply_transposed<kDim>(scores[0], own, kRows, tile_descriptor(s.keys[i % kStages], kKeys), kKeys);
    product_commit();
    product_wait<0>();
    pin(scores[0]);
    s.key_ring.leave(i, tiles, ask_keys);
    if (group.hides(key, kKeys)) hide_unseen(scores, row0, key, s.row_first + warp * 16);
    rows.raise_top(scores, scale_log2);
    s.value_ring.wait(i);
    mix(rows, scores, scale_log2, tile_descriptor(s.values[i % kStages], kKeys));
    s.value_ring.leave(i, tiles, ask_values);
  }
  finish(rows, tile, row0, p.scale, scale_log2);
}

template <int kDim>
bool launch_warpgroups(const Call& call, Stream stream) {
  const auto& p = call.as<abi::Attention>();
  CUtensorMap map;
  if (!make_tensor_map(map, call.data<bf16>(0), p.batch, p.sequence_length, (p.q_heads + 2 * p.kv_heads) * kDim))
    return false;
  launch(attention_warpgroups<kDim>, dim3(ceil_div(p.sequence_length, kRows) * p.q_heads * p.batch), dim3(kThreads),
         sizeof(Shared<kDim>), stream, p, p.scale * 1.44269504f, map, call.data<bf16>(0), call.data<int32_t>(1),
         call.data<bf16>(2), call.data<float>(3));
  return true;
}

}  // namespace

bool attention_hopper(const Call& call, Stream stream) {
  return launch_on_hopper(call, call.as<abi::Attention>().head_dim,
                          [&](auto dim) { return launch_warpgroups<dim>(call, stream); });
}

}  // namespace tandem::kernels
