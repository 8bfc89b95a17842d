// lora_expand_weight_gradient: see core/abi/lora_expand_weight_gradient.h. A product per part. Reads dy (rows, ldc) and
// t (rows, count * rank), updates g (rows of b, rank). Nearly all of the traffic is dy: 2 bytes per value in bf16, 0.52
// ns per 1000 at 90% of an H200's 4.3 TB/s.
// Order of sums: for thin ranks warp w of 8 adds rows 16 w ... 16 w + 15 of each 128, in order, then warps are added in
// order; else that of kernels/gemm_kernel.cuh, where a block makes 128 rows of g over all tokens.
#include "core/abi/lora_expand_weight_gradient.h"

#include <algorithm>

#include "kernels/gemm_kernel.cuh"
#include "kernels/lora_thin.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 256, kWarps = kThreads / 32;
constexpr uint32_t kColumns = 32;  // rows of g per block
constexpr uint32_t kRows = 16;     // rows of dy per warp and step
constexpr uint32_t kDyChunks = kColumns / 8, kDyBytes = kRows * kColumns * sizeof(bf16);

// A warp's stages in shared memory, of which sm_89 and sm_120 have 99 KiB per block.
template <uint32_t kRank>
struct Stages {
  static constexpr uint32_t kCount = kRank > 32 ? 3 : kRank > 16 ? 5 : 6;
  static constexpr uint32_t kBytes = kDyBytes + kRows * kThinStride<kRank> * uint32_t(sizeof(bf16));
  static constexpr uint32_t kSums = kWarps * kColumns * kRank * uint32_t(sizeof(float));  // take their place
  static constexpr uint32_t kShared = std::max(kWarps * kCount * kBytes, kSums);
};

// what a block reads: columns of dy, and a part of t
struct Source {
  const bf16 *dy, *t;
  uint32_t ldc, width, columns, rank, rows;
};

// A warp starts the copy of a step's rows; zeros past the ends.
template <uint32_t kRank>
__device__ __forceinline__ void load_step(unsigned char* stage, const Source& from, uint32_t row0) {
  constexpr uint32_t kChunks = kRank / 8;
  auto* const t = reinterpret_cast<bf16*>(stage + kDyBytes);
  const uint32_t lane = threadIdx.x % 32;
#pragma unroll
  for (uint32_t i = lane; i < kRows * kDyChunks; i += 32) {
    const uint32_t line = i / kDyChunks, chunk = i % kDyChunks, row = row0 + line;
    const bool inside = row < from.rows && chunk * 8 < from.columns;
    cp_async16(stage + tile_offset<kDyChunks>(line, chunk),
               inside ? from.dy + size_t(row) * from.ldc + chunk * 8 : from.dy, inside ? 16 : 0);
  }
#pragma unroll
  for (uint32_t i = lane; i < kRows * kChunks; i += 32) {
    const uint32_t line = i / kChunks, column = i % kChunks * 8, row = row0 + line;
    const bool inside = row < from.rows && column < from.rank;
    cp_async16(t + line * kThinStride<kRank> + column, inside ? from.t + size_t(row) * from.width + column : from.t,
               inside ? 16 : 0);
  }
}

// sums[m][n] are of columns 16 m ... 16 m + 15 of dy and 8 n ... 8 n + 7 of t.
template <uint32_t kRank>
__device__ __forceinline__ void add_step(float (&sums)[2][kRank / 8][4], const unsigned char* stage) {
  const uint32_t lane = threadIdx.x % 32;
  const auto* const t = reinterpret_cast<const bf16*>(stage + kDyBytes);
  uint32_t left[2][4];
#pragma unroll
  for (uint32_t m = 0; m < 2; ++m)
    ldmatrix_x4_trans(left[m], stage + tile_offset<kDyChunks>(lane / 16 * 8 + lane % 8, m * 2 + lane / 8 % 2));
#pragma unroll
  for (uint32_t n = 0; n < kRank / 8; n += 2) {
    uint32_t right[4];
    ldmatrix_x4_trans(right, t + lane % 16 * kThinStride<kRank> + (n + lane / 16) * 8);
#pragma unroll
    for (uint32_t m = 0; m < 2; ++m) {
      mma_m16n8k16_bf16(sums[m][n], left[m], {right[0], right[1]});
      mma_m16n8k16_bf16(sums[m][n + 1], left[m], {right[2], right[3]});
    }
  }
}

// A warp puts its sums into those of all warps, (kWarps, kColumns, kRank).
template <uint32_t kRank>
__device__ __forceinline__ void put_sums(const float (&sums)[2][kRank / 8][4], float* all) {
  const uint32_t lane = threadIdx.x % 32;
  float* const own = all + (threadIdx.x / 32 * kColumns + lane / 4) * kRank + lane % 4 * 2;
#pragma unroll
  for (uint32_t m = 0; m < 2; ++m)
#pragma unroll
    for (uint32_t n = 0; n < kRank / 8; ++n)
#pragma unroll
      for (uint32_t h = 0; h < 2; ++h)
        *reinterpret_cast<float2*>(own + (m * 16 + h * 8) * kRank + n * 8) =
            make_float2(sums[m][n][h * 2], sums[m][n][h * 2 + 1]);
}

// g: the block's first row
template <uint32_t kRank, typename G>
__device__ __forceinline__ void add_sums(const float* all, const Source& from, float scale, G* g) {
  for (uint32_t i = threadIdx.x; i < kColumns * kRank; i += kThreads) {
    const uint32_t column = i / kRank, k = i % kRank;
    if (column >= from.columns || k >= from.rank) continue;
    float sum = 0.0f;
    for (uint32_t w = 0; w < kWarps; ++w) sum += all[w * kColumns * kRank + i];
    G* const at = g + size_t(column) * from.rank + k;
    *at = from_float<G>(to_float(*at) + sum * scale);
  }
}

// A block makes 32 rows of a part's g. Its warps wait for nothing but their own copies until all rows are added.
template <uint32_t kRank, typename G>
__global__ void __launch_bounds__(kThreads)
    weight_gradient_kernel(const bf16* __restrict__ dy, const bf16* __restrict__ t, G* g,
                           abi::LoraExpandWeightGradient p) {
  DYN_SHARED(unsigned char, shared);
  const PartTile tile = part_tile(p.parts, blockIdx.x, kColumns);
  const Source from{dy + tile.first + tile.column,
                    t + tile.part * p.rank,
                    p.ldc,
                    p.parts.count * p.rank,
                    tile.columns - tile.column,
                    p.rank,
                    p.rows};
  const uint32_t warp = threadIdx.x / 32;
  constexpr uint32_t kCount = Stages<kRank>::kCount, kStage = Stages<kRank>::kBytes;
  unsigned char* const own = shared + warp * kCount * kStage;
  const auto load = [&](uint32_t step) {
    const uint32_t row = (step * kWarps + warp) * kRows;
    if (row < p.rows) load_step<kRank>(own + step % kCount * kStage, from, row);
    cp_async_commit();  // an empty group past the end, so that the count of those under way stays
  };
  for (uint32_t step = 0; step < kCount - 1; ++step) load(step);
  float sums[2][kRank / 8][4] = {};
#pragma unroll 1
  for (uint32_t step = 0; (step * kWarps + warp) * kRows < p.rows; ++step) {
    cp_async_wait<int(kCount) - 2>();
    __syncwarp();  // this step's stage is filled, the last one's is free
    load(step + kCount - 1);
    add_step<kRank>(sums, own + step % kCount * kStage);
  }
  cp_async_wait<0>();
  __syncthreads();  // the stages are free
  put_sums<kRank>(sums, reinterpret_cast<float*>(shared));
  __syncthreads();
  add_sums<kRank>(reinterpret_cast<const float*>(shared), from, p.scale, g + size_t(tile.row + tile.column) * p.rank);
}

template <typename T>
void weight_gradient_of_parts(const Call& call, Stream stream) {
  const auto& p = call.as<abi::LoraExpandWeightGradient>();
  const bool wide = call.dtype(2) == DType::f32;
  uint32_t row = 0;
  for (uint32_t i = 0; i < p.parts.count; ++i) {
    const uint32_t columns = p.parts.columns[i];
    const GemmOperand<T> dy{call.data<T>(0) + p.parts.first[i], p.ldc, p.rows, columns};
    const GemmOperand<T> t{call.data<T>(1) + i * p.rank, p.parts.count * p.rank, p.rows, p.rank};
    const GemmOutput out{.c = call.data<char>(2) + size_t(row) * p.rank * (wide ? sizeof(float) : sizeof(bf16)),
                         .bias = nullptr,
                         .scale_a = nullptr,
                         .scale_b = nullptr,
                         .factor = p.scale,
                         .m = columns,
                         .n = p.rank,
                         .ldc = p.rank,
                         .accumulate = true,
                         .wide = wide,
                         .packs = true};
    launch_product<abi::kGemmTn>(dy, t, p.rows, out, stream);
    row += columns;
  }
}

template <typename T>
void weight_gradient(const Call& call, Stream stream) {
  const auto& p = call.as<abi::LoraExpandWeightGradient>();
  if constexpr (sizeof(T) == 2)
    if (p.rank <= kThinRank) {
      const auto thin = [&](auto rank, auto g) {
        using G = decltype(g);
        launch(weight_gradient_kernel<rank.value, G>, dim3(part_tiles(p.parts, kColumns)), dim3(kThreads),
               Stages<rank.value>::kShared, stream, call.data<bf16>(0), call.data<bf16>(1), call.data<G>(2), p);
      };
      return with_thin_rank(p.rank, [&](auto rank) { with_float(call.dtype(2), [&](auto g) { thin(rank, g); }); });
    }
  weight_gradient_of_parts<T>(call, stream);
}

}  // namespace

bool lora_expand_weight_gradient(const Call& call, Stream stream) {
  return with_float(call.dtype(0), [&](auto t) { weight_gradient<decltype(t)>(call, stream); });
}

}  // namespace tandem::kernels
