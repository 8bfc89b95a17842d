// attention_backward_key_value on sm_90a for bf16, head_dim 64 or 128 and sequence_length a multiple of four: as
// attention_backward_key_value.cu, with products by warpgroups. Reads qkv, positions, dout, lse and delta, writes the k
// and v parts of dqkv; queries and dout once a tile of keys. FLOPs: 8 head_dim for each query, head and key seen: four
// matrix products. A block makes 128 keys of a key head, a warpgroup 64 of them, both dk and dv, over its group's query
// heads and for each the tiles of 128 queries (64 for head_dim 128), one block a multiprocessor. Scores are weighed
// while values are multiplied with dout, gradients of scores made while weights are multiplied with dout; those are
// multiplied with the queries together with the next tile's first products, which so need not wait. The warpgroups
// issue these in turn, so that one weighs while the other multiplies. Tiles come by tensor map in three stages, with
// their queries' lse, delta and positions; of all heads and sequences the first keys, which most queries see, come
// first. All products are transposed: rows are keys. Sums: heads in order, then tiles of queries, as wgmma adds inside of
// 16. Weights are bf16 in the product with dout, and so is ds in the product with the queries.
#include "kernels/attention_backward_key_value_tile.cuh"
#include "kernels/hopper.h"
#include "kernels/tensor_map.cuh"

namespace tandem::kernels {
namespace {

constexpr int kWarps = 8, kThreads = kWarps * 32, kRows = 2 * kWarpgroupRows;
constexpr int kStages = 3;  // a tile, the one before, which is still read, and the next

// a tile of queries of a head
template <int kDim>
struct alignas(1024) Stage {
  static constexpr int kQueries = 8192 / kDim;
  static constexpr uint32_t kBytes = 2 * kQueries * kDim * sizeof(bf16) + sizeof(QueryStats<kQueries>);
  bf16 queries[kQueries * kDim], dout[kQueries * kDim];
  QueryStats<kQueries> stats;
};

template <int kDim>
struct Shared {
  bf16 keys[kRows * kDim], values[kRows * kDim];
  Stage<kDim> stages[kStages];
  uint64_t rows_here;
  Ring<kStages, kWarps> ring;
  uint32_t count;
};

struct Maps {
  CUtensorMap qkv, dout, lse, delta, positions;
};

// a product, rounded, as a left operand
template <int kN>
__device__ __forceinline__ void pack(uint32_t (&left)[kN / 2][4], const float (&c)[kN][4]) {
#pragma unroll
  for (int k = 0; k < kN / 2; ++k) pack_columns(left[k], c, k);
}
// c += left b, b a tile; the caller awaits it
template <int kC, int kK>
__device__ __forceinline__ void add_product(float (&c)[kC][4], const uint32_t (&left)[kK][4], uint64_t b) {
  product_fence();
#pragma unroll
  for (int k = 0; k < kK; ++k) multiply_registers(c, left[k], b + k * kStepOfRows);
  product_commit();
}

// the products of values and dout become gradients of scores
template <int kN>
__device__ __forceinline__ void weigh_gradients(float (&ds)[kN][4], const float (&weights)[kN][4],
                                                const float* deltas) {
#pragma unroll
  for (int n = 0; n < kN; ++n) {
    const float2 delta = reinterpret_cast<const float2*>(deltas)[n * 4 + int(threadIdx.x % 4)];
#pragma unroll
    for (int e = 0; e < 4; ++e) ds[n][e] = weights[n][e] * (ds[n][e] - (e % 2 == 0 ? delta.x : delta.y));
  }
}

// What one of the block's two warpgroups does between take and pass the other does before or after. Each takes and
// passes as many turns as the other; the first is warpgroup 0's.
struct Turns {
  int group;
  __device__ __forceinline__ explicit Turns(int group_) : group(group_) {
    if (group == 1) pass();
  }
  __device__ __forceinline__ void take() const {
    if (group == 0) asm volatile("bar.sync 1, %0;" ::"n"(kThreads) : "memory");
    else asm volatile("bar.sync 2, %0;" ::"n"(kThreads) : "memory");
  }
  __device__ __forceinline__ void pass() const {
    if (group == 0) asm volatile("bar.arrive 2, %0;" ::"n"(kThreads) : "memory");
    else asm volatile("bar.arrive 1, %0;" ::"n"(kThreads) : "memory");
  }
};

template <int kDim>
__global__ void __launch_bounds__(kThreads, 1)
    attention_backward_key_value_warpgroups(abi::AttentionBackward p, const BackwardOperands<bf16> operands,
                                            const __grid_constant__ Maps maps) {
  constexpr int kQueries = Stage<kDim>::kQueries, kN = kQueries / 8;
  BOXES_SHARED(Shared<kDim>, s);
  const KeyTile<bf16> tile(p, operands, kRows);
  const int lane = int(threadIdx.x % 32), warp = warp_number(), row0 = tile.first + warp * 16;
  const int key0 = tile.first + warp / 4 * kWarpgroupRows, sequence = int(tile.sequence);
  if (threadIdx.x == 0) {
    barrier_init(&s.rows_here);
    s.ring.init();
    barrier_init_fence();
    const int column = int(p.q_heads + tile.head / tile.group) * kDim;
    barrier_arrive(&s.rows_here, sizeof s.keys + sizeof s.values);
    copy_boxes<kRows, kDim>(s.keys, maps.qkv, column, tile.first, sequence, &s.rows_here);
    copy_boxes<kRows, kDim>(s.values, maps.qkv, column + int(p.kv_heads) * kDim, tile.first, sequence, &s.rows_here);
  }
  tile.count_tiles(&s.count, tile.first, kQueries);
  const int of_head = int(s.count), tiles = of_head * int(tile.group);
  const auto ask = [&](int i, uint64_t* barrier) {
    Stage<kDim>& to = s.stages[i % kStages];
    const int head = int(tile.head) + i / of_head, t = tile.first + i % of_head * kQueries;
    const int row = sequence * int(p.q_heads) + head;
    barrier_arrive(barrier, Stage<kDim>::kBytes);
    copy_boxes<kQueries, kDim>(to.queries, maps.qkv, head * kDim, t, sequence, barrier);
    copy_boxes<kQueries, kDim>(to.dout, maps.dout, head * kDim, t, sequence, barrier);
    copy_row(to.stats.lse, maps.lse, t, row, barrier);
    copy_row(to.stats.delta, maps.delta, t, row, barrier);
    copy_row(to.stats.position, maps.positions, t, sequence, barrier);
  };
  if (threadIdx.x == 0) s.ring.fill(tiles, ask);
  barrier_wait(&s.rows_here, 0);

  const float scale_log2 = p.scale * kLog2E;
  const int group_at = warp / 4 * kWarpgroupRows * kBoxColumns;
  const uint64_t keys = tile_descriptor(s.keys + group_at, kRows), values = tile_descriptor(s.values + group_at, kRows);
  float dk[1][kDim / 8][4], dv[1][kDim / 8][4];
  clear(dk);
  clear(dv);
  pin(dk[0]);  // or zeros would be set between products, which the compiler then serializes
  pin(dv[0]);
  uint32_t gradients[kN / 2][4];  // the scores' of tile `before`; dk has yet to gain them
  int before = -1;
  const auto add_keys = [&] {
    if (before >= 0) add_product(dk[0], gradients, tile_descriptor(s.stages[before % kStages].queries, kQueries));
  };
  const Turns turns(warp / 4);
  for (int i = 0; i < tiles; ++i) {
    const int t = tile.first + i % of_head * kQueries;
    s.ring.wait(i);
    turns.take();
    if (kQueries < kRows && t + kQueries <= key0) {  // no query sees the warpgroup's keys
      turns.pass();
      s.ring.leave(i, tiles, ask);
      continue;
    }
    const Stage<kDim>& now = s.stages[i % kStages];
    const uint64_t queries = tile_descriptor(now.queries, kQueries), dout = tile_descriptor(now.dout, kQueries);
    float scores[1][kN][4], ds[kN][4];
    add_keys();
    product_fence();
    multiply_transposed<kDim>(scores[0], keys, kRows, queries, kQueries);
    product_commit();
    multiply_transposed<kDim>(ds, values, kRows, dout, kQueries);
    product_commit();
    turns.pass();
    product_wait<1>();
    pin(scores[0]);
    pin(dk[0]);
    if (before >= 0) s.ring.leave(before, tiles, ask);
    before = i;
    const int from_last = t + kQueries - 1 - now.stats.position[kQueries - 1];  // the first key the last query sees
    if (t < key0 + kWarpgroupRows - 1 || from_last > key0) hide_unseeing(scores, now.stats.position, row0, t);
    weigh_queries(scores, now.stats.lse, scale_log2);
    uint32_t weights[kN / 2][4];
    pack(weights, scores[0]);
    add_product(dv[0], weights, dout);
    product_wait<1>();
    pin(ds);
    weigh_gradients(ds, scores[0], now.stats.delta);
    product_wait<0>();
    pin(dv[0]);
    pack(gradients, ds);
  }
  add_keys();
  product_wait<0>();
  pin(dk[0]);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int key = row0 + h * 8 + lane / 4;
    store_row(tile.dk, dk[0], h, p.scale, key, tile.last);
    store_row(tile.dv, dv[0], h, 1.0f, key, tile.last);
  }
}

template <int kDim>
bool launch_warpgroups(const Call& call, Stream stream) {
  const auto& p = call.as<abi::AttentionBackward>();
  const uint32_t width = (p.q_heads + 2 * p.kv_heads) * kDim;
  Maps maps;
  if (!make_tensor_map(maps.qkv, call.data<bf16>(0), p.batch, p.sequence_length, width) ||
      !make_tensor_map(maps.dout, call.data<bf16>(2), p.batch, p.sequence_length, p.q_heads * kDim) ||
      !make_row_map(maps.lse, call.data<float>(3), p.batch * p.q_heads, p.sequence_length) ||
      !make_row_map(maps.delta, call.data<float>(4), p.batch * p.q_heads, p.sequence_length) ||
      !make_row_map(maps.positions, call.data<int32_t>(1), p.batch, p.sequence_length))
    return false;
  launch(attention_backward_key_value_warpgroups<kDim>, dim3(ceil_div(p.sequence_length, kRows) * p.kv_heads * p.batch),
         dim3(kThreads), sizeof(Shared<kDim>), stream, p, BackwardOperands<bf16>(call), maps);
  return true;
}

}  // namespace

bool attention_backward_key_value_hopper(const Call& call, Stream stream) {
  const auto& p = call.as<abi::AttentionBackward>();
  if (p.sequence_length % 4 != 0) return false;  // tensor maps want rows of 16 bytes
  return launch_on_hopper(call, p.head_dim, [&](auto dim) { return launch_warpgroups<dim>(call, stream); });
}

}  // namespace tandem::kernels
