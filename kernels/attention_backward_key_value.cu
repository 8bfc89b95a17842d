// attention_backward_key_value: see core/abi/attention_backward.h. Reads qkv, positions, dout, lse and delta, writes
// the k and v parts of dqkv; queries and dout once a tile of keys. FLOPs: 8 head_dim for each query, head and key seen:
// four matrix products. bf16: a block makes 64 keys of a key head, a warp 16 of them, over its group's query heads and
// for each the tiles of 64 queries (16 from head_dim 129 on, where one launch makes dk and another dv, as a warp's
// registers hold one of them), the first keys, which most queries see, first. All products are transposed: rows are
// keys. Queries are fetched a tile ahead, dout while queries are multiplied. Sums: heads in order, then tiles of
// queries, as mma.sync adds inside of 16; p and ds are bf16 in the products with dout and queries. f32: fused
// multiply-adds in the order of heads, queries and elements.
#include "kernels/attention_backward.cuh"

namespace tandem::kernels {
namespace {

// What one block works on: a tile of keys of a key head of a sequence.
template <typename T>
struct KeyTile {
  int first, last, rows;           // rows: of the sequence
  uint32_t sequence, head, group;  // head: the first of the group's query heads
  SequenceRows<T> s;
  HeadRows<const T> k, v;
  HeadRows<T> dk, dv;
  const int32_t* positions;

  __device__ KeyTile(const abi::AttentionBackward& p, const BackwardOperands<T>& o, uint32_t tile_rows)
      : s(p, blockIdx.x / p.kv_heads / ceil_div(p.sequence_length, tile_rows)) {
    const uint32_t tiles = ceil_div(p.sequence_length, tile_rows), kv_head = blockIdx.x % p.kv_heads;
    rows = int(p.sequence_length);
    first = int(blockIdx.x / p.kv_heads % tiles * tile_rows);
    last = min(first + int(tile_rows), rows) - 1;
    sequence = blockIdx.x / p.kv_heads / tiles;
    group = p.q_heads / p.kv_heads;
    head = kv_head * group;
    k = s.stacked(o.qkv, p.q_heads + kv_head);
    v = s.stacked(o.qkv, p.q_heads + p.kv_heads + kv_head);
    dk = s.stacked(o.dqkv, p.q_heads + kv_head);
    dv = s.stacked(o.dqkv, p.q_heads + p.kv_heads + kv_head);
    positions = o.positions + s.row0;
  }

  // into shared memory, how many tiles of queries from the one at `from` on see some of the keys; every thread calls it
  __device__ void count_tiles(uint32_t* count, int from, int tile_rows) const {
    if (threadIdx.x == 0) *count = 1;
    __syncthreads();
    for (int i = 1 + int(threadIdx.x); from + i * tile_rows < rows; i += int(blockDim.x))
      if (first_key(positions, from + i * tile_rows) <= last) atomicMax(count, uint32_t(i + 1));
    __syncthreads();
  }
};

// what the queries of a tile bring besides their rows
template <int kQueries>
struct QueryStats {
  float offset[kQueries], delta[kQueries];  // offset: lse in powers of two
  int first[kQueries];                      // the first key that it sees
};
// of one query; one past the sequence's end sees nothing
struct QueryStat {
  float offset = 0.0f, delta = 0.0f;
  int first = INT32_MAX;

  __device__ __forceinline__ QueryStat(const abi::AttentionBackward& p, const BackwardOperands<bf16>& o,
                                       const KeyTile<bf16>& tile, uint32_t head, int t) {
    if (t >= tile.rows) return;
    const uint32_t at = (tile.sequence * p.q_heads + head) * p.sequence_length + uint32_t(t);
    offset = o.lse[at] * kLog2E;
    delta = o.delta[at];
    first = first_key(tile.positions, t);
  }
  template <int kQueries>
  __device__ __forceinline__ void store(QueryStats<kQueries>& stats) const {
    stats.offset[threadIdx.x] = offset;
    stats.delta[threadIdx.x] = delta;
    stats.first[threadIdx.x] = first;
  }
};

template <int kDim>
struct KeyGradientTile {
  static constexpr int kRows = int(kTileWarps) * 16, kQueries = kDim > 128 ? 16 : 64;
  using Stats = QueryStats<kQueries>;
  static constexpr size_t kBytes = tile_bytes<kDim>(2 * kRows + 3 * kQueries) + 2 * sizeof(Stats) + 16;
};

// scores (keys, queries) become minus infinity where the query does not see the key
template <int kN, int kQueries>
__device__ __forceinline__ void hide_unseeing(float (&scores)[1][kN][4], const QueryStats<kQueries>& stats, int row0,
                                              int column0) {
  const int lane = int(threadIdx.x % 32);
#pragma unroll
  for (int n = 0; n < kN; ++n) {
    const int2 first = reinterpret_cast<const int2*>(stats.first)[n * 4 + lane % 4];
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int key = row0 + lane / 4 + e / 2 * 8, query = column0 + n * 8 + lane % 4 * 2 + e % 2;
      const bool unseen = (key > query) | (key < (e % 2 == 0 ? first.x : first.y));
      scores[0][n][e] = unseen ? abi::bits_float(0xff800000u) : scores[0][n][e];
    }
  }
}

// scores (keys, queries) become weights
template <int kN, int kQueries>
__device__ __forceinline__ void weigh_queries(float (&scores)[1][kN][4], const QueryStats<kQueries>& stats,
                                              float scale_log2) {
#pragma unroll
  for (int n = 0; n < kN; ++n) {
    const float2 offset = reinterpret_cast<const float2*>(stats.offset)[n * 4 + int(threadIdx.x % 4)];
#pragma unroll
    for (int e = 0; e < 4; ++e)
      scores[0][n][e] = exp2_tile(fmaf(scores[0][n][e], scale_log2, e % 2 == 0 ? -offset.x : -offset.y));
  }
}

// ds: the products of values and dout, become the gradients of the scores
template <int kN, int kQueries>
__device__ __forceinline__ void weigh_gradients(float (&ds)[1][kN][4], const float (&weights)[1][kN][4],
                                                const QueryStats<kQueries>& stats) {
#pragma unroll
  for (int n = 0; n < kN; ++n) {
    const float2 delta = reinterpret_cast<const float2*>(stats.delta)[n * 4 + int(threadIdx.x % 4)];
#pragma unroll
    for (int e = 0; e < 4; ++e) ds[0][n][e] = weights[0][n][e] * (ds[0][n][e] - (e % 2 == 0 ? delta.x : delta.y));
  }
}

template <int kDim, bool kMakeKey, bool kMakeValue>
__global__ void __launch_bounds__(kTileThreads, 2)
    attention_backward_key_value_bf16(abi::AttentionBackward p, const BackwardOperands<bf16> operands) {
  using Tile = KeyGradientTile<kDim>;
  constexpr int kQueries = Tile::kQueries, kN = kQueries / 8, kStride = kTileStride<kDim>;
  DYN_SHARED(bf16, keys);
  bf16* const values = keys + Tile::kRows * kStride;
  bf16* const dout = values + Tile::kRows * kStride;
  bf16* const queries = dout + kQueries * kStride;                                                // two tiles
  auto* const stats = reinterpret_cast<typename Tile::Stats*>(queries + 2 * kQueries * kStride);  // of two tiles
  uint32_t* const tiles = reinterpret_cast<uint32_t*>(stats + 2);
  const KeyTile<bf16> tile(p, operands, Tile::kRows);
  const int warp_row = int(threadIdx.x / 32) * 16, row0 = tile.first + warp_row;
  const int from = tile.first / kQueries * kQueries;
  bf16 *const own = keys + warp_row * kStride, *const own_values = values + warp_row * kStride;

  const auto load_queries = [&](bf16* to, uint32_t head, int t) {
    load_tile<kQueries, kDim>(to, tile.s.stacked(operands.qkv, head), t, 0, tile.rows - 1);
  };
  const auto load_dout = [&](uint32_t head, int t) {
    load_tile<kQueries, kDim>(dout, tile.s.dout(operands.dout, head), t, 0, tile.rows - 1);
  };
  load_tile<Tile::kRows, kDim>(keys, tile.k, tile.first, 0, tile.last);
  if (kMakeKey) load_tile<Tile::kRows, kDim>(values, tile.v, tile.first, 0, tile.last);
  load_queries(queries, tile.head, from);
  load_dout(tile.head, from);
  cp_async_commit();
  if (threadIdx.x < kQueries) QueryStat(p, operands, tile, tile.head, from + int(threadIdx.x)).store(stats[0]);
  tile.count_tiles(tiles, from, kQueries);
  const int end = from + int(*tiles) * kQueries;

  const float scale_log2 = p.scale * kLog2E;
  float dk[1][kMakeKey ? kDim / 8 : 1][4] = {}, dv[1][kMakeValue ? kDim / 8 : 1][4] = {};
  uint32_t head = tile.head;
  int t = from;
  for (int turn = 0; head < tile.head + tile.group; turn ^= 1) {
    const bf16* const now = queries + turn * kQueries * kStride;
    const typename Tile::Stats& now_stats = stats[turn];
    const bool last_tile = t + kQueries >= end;
    const uint32_t next_head = last_tile ? head + 1 : head;
    const int next = last_tile ? from : t + kQueries;
    const bool more = next_head < tile.head + tile.group;
    cp_async_wait<0>();
    __syncthreads();  // this tile is there, the queries of before done with
    QueryStat next_stat(p, operands, tile, next_head,
                        more && threadIdx.x < kQueries ? next + int(threadIdx.x) : tile.rows);
    if (more) load_queries(queries + (turn ^ 1) * kQueries * kStride, next_head, next);
    float weights[1][kN][4] = {}, ds[1][kN][4] = {};
    multiply_transposed<kDim>(weights, own, now);
    if (t < row0 + 15 || now_stats.first[kQueries - 1] > row0) hide_unseeing(weights, now_stats, row0, t);
    weigh_queries(weights, now_stats, scale_log2);
    if constexpr (kMakeValue) multiply<kDim>(dv, left_operand(weights), dout);
    if constexpr (kMakeKey) multiply_transposed<kDim>(ds, own_values, dout);
    __syncthreads();  // dout is done with
    if (more) load_dout(next_head, next);
    if (threadIdx.x < kQueries) next_stat.store(stats[turn ^ 1]);
    cp_async_commit();
    if constexpr (kMakeKey) {
      weigh_gradients(ds, weights, now_stats);
      multiply<kDim>(dk, left_operand(ds), now);
    }
    head = next_head;
    t = next;
  }
  const float scaled[1][2] = {{p.scale, p.scale}}, as_is[1][2] = {{1.0f, 1.0f}};
  if constexpr (kMakeKey) store_rows<kDim>(tile.dk, own, dk, scaled, row0, tile.first, tile.last);
  if constexpr (kMakeValue) store_rows<kDim>(tile.dv, own_values, dv, as_is, row0, tile.first, tile.last);
}

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
    const auto start = [&](auto kernel) {
      launch(kernel, blocks(Tile::kRows), dim3(kTileThreads), Tile::kBytes, stream, p, BackwardOperands<bf16>(call));
    };
    if constexpr (kDim <= 128) {
      start(attention_backward_key_value_bf16<kDim, true, true>);
    } else {
      start(attention_backward_key_value_bf16<kDim, true, false>);
      start(attention_backward_key_value_bf16<kDim, false, true>);
    }
  });
  return true;
}

}  // namespace tandem::kernels
