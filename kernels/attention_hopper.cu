// attention on sm_90a for bf16 and head_dim 64 or 128: as attention.cu, with products by warpgroups. Reads qkv and
// positions, writes out and lse; keys and values once a tile of queries. FLOPs: 4 head_dim for each query, head and key
// seen. A block makes 128 queries of a head, a warpgroup 64 of them, over tiles of 64 keys; two blocks a
// multiprocessor. With head_dim 64 a tile's scores are made together with the tile's before of values mixed, so that
// products are under way while scores are compared; with 128 registers do not suffice for that, and a tile's weights
// are all made before its values are mixed. A block's two warpgroups issue products in turn: one weighs while the other
// multiplies. Tiles come by tensor map in two stages. Of all heads and sequences the heaviest tiles of queries come
// first. Sums: keys in order, tile by tile, as wgmma adds inside of 16; the weights' sum: a lane's keys in order, then
// a butterfly over the four lanes of a row; both rescaled as in attention.cu. The weights are bf16 in the product with
// the values.
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

template <int kDim>
constexpr bool kAhead = kDim == 64;  // scores are made while the values of the tile before are mixed
template <int kDim>
constexpr bool kTurns = true;  // the block's warpgroups issue products in turn

// scores of a tile become weights, rounded
template <int kDim>
__device__ __forceinline__ void weigh_tile(OnlineSoftmax<kDim, 1>& rows, uint32_t (&weights)[kN / 2][4],
                                           float (&scores)[1][kN][4], float scale_log2) {
#pragma unroll
  for (int k = 0; k < kN / 2; ++k) {
    rows.weigh(scores, 2 * k, 2 * k + 2, scale_log2);
    pack_columns(weights[k], scores[0], k);
  }
}
// the caller awaits it
template <int kDim>
__device__ __forceinline__ void mix(OnlineSoftmax<kDim, 1>& rows, const uint32_t (&weights)[kN / 2][4],
                                    uint64_t values) {
  product_fence();
#pragma unroll
  for (int k = 0; k < kN / 2; ++k) multiply_registers(rows.mixed[0], weights[k], values + k * kStepOfRows);
  product_commit();
}

// A warpgroup's way through its block's tiles of keys and values; all of them pass, and each is one turn.
template <int kDim>
struct Walk {
  using Request = TileRequest<kStages, kKeys, kDim>;  // for values too
  Shared<kDim>& s;
  const Request &ask_keys, &ask_values;
  const GroupRows& group;
  Turns<kTurns<kDim>> turns;
  int first, tiles, warp, row0;  // first: the first tile's first key; row0: the warp's first row
  uint64_t queries;
  float scale_log2;

  __device__ __forceinline__ uint64_t values(int i) const { return tile_descriptor(s.values[i % kStages], kKeys); }
  __device__ __forceinline__ void leave_keys(int i) const { s.key_ring.leave(i, tiles, ask_keys); }
  __device__ __forceinline__ void leave_values(int i) const { s.value_ring.leave(i, tiles, ask_values); }

  __device__ __forceinline__ void multiply_keys(float (&scores)[1][kN][4], int i) const {
    product_fence();
    multiply_transposed<kDim>(scores[0], queries, kRows, tile_descriptor(s.keys[i % kStages], kKeys), kKeys);
    product_commit();
  }
  __device__ __forceinline__ void hide(float (&scores)[1][kN][4], int i) const {
    const int key = first + i * kKeys;
    if (group.hides(key, kKeys)) hide_unseen(scores, row0, key, s.row_first + warp * 16);
  }
  // tiles that no row of the warpgroup sees
  __device__ __forceinline__ void pass_by(int begin, int end) const {
    for (int i = begin; i < end; ++i) {
      s.key_ring.wait(i);
      leave_keys(i);
      s.value_ring.wait(i);
      leave_values(i);
      turns.take();
      turns.pass();
    }
  }
  // a turn: the values of the tile before are mixed, this one's scores made
  __device__ __forceinline__ void attend(OnlineSoftmax<kDim, 1>& rows, int begin, int end) const {
    uint32_t weights[kN / 2][4];
    for (int i = begin; i < end; ++i) {
      float scores[1][kN][4];
      if (i == begin) turns.take();
      s.key_ring.wait(i);
      multiply_keys(scores, i);
      turns.pass();
      product_wait<0>();
      pin(scores[0]);
      leave_keys(i);
      hide(scores, i);
      rows.raise_top(scores, scale_log2);
      weigh_tile(rows, weights, scores, scale_log2);
      s.value_ring.wait(i);
      if (i + 1 < end) turns.take();
      mix(rows, weights, values(i));
      product_wait<0>();
      pin(rows.mixed[0]);
      leave_values(i);
    }
  }
  // a turn: this tile's scores are made, then the values of the tile before are mixed
  __device__ __forceinline__ void attend_ahead(OnlineSoftmax<kDim, 1>& rows, int begin, int end) const {
    uint32_t weights[kN / 2][4];
    for (int i = begin; i < end; ++i) {
      float scores[1][kN][4], larger[1][2];
      s.key_ring.wait(i);
      if (i > begin) s.value_ring.wait(i - 1);
      turns.take();
      multiply_keys(scores, i);
      if (i > begin) {
        mix(rows, weights, values(i - 1));
        turns.pass();
        product_wait<1>();
      } else {
        turns.pass();
        product_wait<0>();
      }
      pin(scores[0]);
      leave_keys(i);
      hide(scores, i);
      const bool raise = rows.find_larger(larger, scores, scale_log2);
      product_wait<0>();
      pin(rows.mixed[0]);
      if (i > begin) leave_values(i - 1);
      if (raise) rows.raise_top_to(larger, scale_log2);
      weigh_tile(rows, weights, scores, scale_log2);
    }
    if (begin == end) return;
    s.value_ring.wait(end - 1);
    mix(rows, weights, values(end - 1));
    product_wait<0>();
    pin(rows.mixed[0]);
    leave_values(end - 1);
  }
};

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

  const int column = int(p.q_heads + tile.kv_head) * kDim, sequence = int(tile.sequence);
  const typename Walk<kDim>::Request ask_keys{s.keys, map, column, first, sequence},
      ask_values{s.values, map, column + int(p.kv_heads) * kDim, first, sequence};
  if (threadIdx.x == 0) {
    s.key_ring.fill(tiles, ask_keys);
    s.value_ring.fill(tiles, ask_values);
  }
  if (threadIdx.x < kRows)
    s.row_first[threadIdx.x] = first_key(tile.positions(), min(tile.last, tile.first + int(threadIdx.x)));
  __syncthreads();  // barriers and row_first are there
  barrier_wait(&s.queries_here, 0);

  const uint64_t own = tile_descriptor(s.queries + warp / 4 * kWarpgroupRows * kBoxColumns, kRows);
  const Walk<kDim> walk{s,    ask_keys, ask_values, group,     Turns<kTurns<kDim>>(warp / 4), first, tiles,
                        warp, row0,     own,        scale_log2};
  const int begin = group.begin(first, kKeys), end = group.end(first, kKeys);
  OnlineSoftmax<kDim, 1> rows;
  rows.reset();
  walk.pass_by(0, begin);
  if constexpr (kAhead<kDim>) walk.attend_ahead(rows, begin, end);
  else walk.attend(rows, begin, end);
  walk.pass_by(end, tiles);
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
