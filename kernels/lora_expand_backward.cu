// lora_expand_backward: see core/abi/lora_expand_backward.h. A product per part. Reads dy (rows, ldc), which is nearly
// all of the traffic, and b (rows of b, rank), writes dt (rows, count * rank): 2 bytes per value of dy in bf16, 0.52
// ns per 1000 at 90% of an H200's 4.3 TB/s.
// Order of sums: for thin ranks columns of dy are added in fragments of 16, in order: of each 32 first 8 i ... 8 i + 3
// for i from 0 to 3, then 8 i + 4 ... 8 i + 7; else that of kernels/gemm_kernel.cuh.
#include "core/abi/lora_expand_backward.h"

#include "kernels/gemm_kernel.cuh"
#include "kernels/lora_thin.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 128, kRows = kThreads / 32 * 16;
constexpr uint32_t kDepth = 128;  // columns of dy per step
constexpr uint32_t kLoads = kDepth / 32;

// Returns the column, of 32, at position i of their fragments: eight neighbours give a pair to each half of two.
__device__ __forceinline__ uint32_t column_at(uint32_t i) {
  return i % 8 / 2 * 8 + i / 8 * 2 + i % 2;
}

// A warp's rows of dy, columns k ... k + kDepth - 1: lane l has rows l / 4 and l / 4 + 8 and eight columns of each 32.
struct DyFragments {
  uint4 of[kLoads][2];

  __device__ __forceinline__ void load(const bf16* const (&rows)[2], uint32_t k, uint32_t columns) {
#pragma unroll
    for (uint32_t i = 0; i < kLoads; ++i) {
      const uint32_t column = k + i * 32 + threadIdx.x % 4 * 8;
#pragma unroll
      for (uint32_t h = 0; h < 2; ++h)
        of[i][h] = column < columns ? *reinterpret_cast<const uint4*>(rows[h] + column) : make_uint4(0, 0, 0, 0);
    }
  }
};

// Starts the copy of rows k ... k + kDepth - 1 of a part's b, in the order of column_at; zeros past its ends.
template <uint32_t kRank>
__device__ __forceinline__ void load_b(bf16* tile, const bf16* b, uint32_t rank, uint32_t k, uint32_t columns) {
  constexpr uint32_t kChunks = kRank / 8;
#pragma unroll
  for (uint32_t i = threadIdx.x; i < kDepth * kChunks; i += kThreads) {
    const uint32_t line = i / kChunks, chunk = i % kChunks * 8, row = k + line / 32 * 32 + column_at(line % 32);
    const bool inside = row < columns && chunk < rank;
    cp_async16(tile + line * kThinStride<kRank> + chunk, inside ? b + size_t(row) * rank + chunk : b, inside ? 16 : 0);
  }
}

// A block makes 64 rows of a part's dt, a warp 16.
template <uint32_t kRank>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(const bf16* __restrict__ dy, const bf16* __restrict__ b, bf16* dt, abi::LoraExpandBackward p) {
  constexpr uint32_t kFragments = kRank / 8, kTile = kDepth * kThinStride<kRank>;
  DYN_SHARED(bf16, tiles);  // two of b
  const PartTile part = part_tile(p.parts, blockIdx.y, kWholePart);
  const uint32_t lane = threadIdx.x % 32, row0 = blockIdx.x * kRows + threadIdx.x / 32 * 16 + lane / 4;
  const bf16* const b_part = b + size_t(part.row) * p.rank;
  const bf16* rows[2];
#pragma unroll
  for (uint32_t h = 0; h < 2; ++h) rows[h] = dy + size_t(min(row0 + h * 8, p.rows - 1)) * p.ldc + part.first;
  float sums[kFragments][4] = {};
  DyFragments now, next;
  load_b<kRank>(tiles, b_part, p.rank, 0, part.columns);
  cp_async_commit();
  next.load(rows, 0, part.columns);
#pragma unroll 1
  for (uint32_t k = 0, step = 0; k < part.columns; k += kDepth, ++step) {
    now = next;
    next.load(rows, k + kDepth, part.columns);
    cp_async_wait<0>();
    __syncthreads();  // this step's b is there, the last one's is free
    load_b<kRank>(tiles + (step + 1) % 2 * kTile, b_part, p.rank, k + kDepth, part.columns);
    cp_async_commit();
    const bf16* const tile = tiles + step % 2 * kTile + lane * kThinStride<kRank>;
#pragma unroll
    for (uint32_t i = 0; i < kLoads; ++i) {
      const uint4 &high = now.of[i][0], &low = now.of[i][1];
#pragma unroll
      for (uint32_t n = 0; n < kFragments; ++n) {
        uint32_t right[4];
        ldmatrix_x4_trans(right, tile + i * 32 * kThinStride<kRank> + n * 8);
        mma_m16n8k16_bf16(sums[n], {high.x, low.x, high.y, low.y}, {right[0], right[1]});
        mma_m16n8k16_bf16(sums[n], {high.z, low.z, high.w, low.w}, {right[2], right[3]});
      }
    }
  }
  cp_async_wait<0>();
#pragma unroll
  for (uint32_t n = 0; n < kFragments; ++n) {
    const uint32_t column = n * 8 + lane % 4 * 2;
#pragma unroll
    for (uint32_t h = 0; h < 2; ++h) {
      if (row0 + h * 8 >= p.rows || column >= p.rank) continue;
      bf16* const to = dt + size_t(row0 + h * 8) * p.parts.count * p.rank + part.part * p.rank + column;
      *reinterpret_cast<uint32_t*>(to) = pack_bf16(sums[n][h * 2] * p.scale, sums[n][h * 2 + 1] * p.scale);
    }
  }
}

template <typename T>
void backward_parts(const Call& call, Stream stream) {
  const auto& p = call.as<abi::LoraExpandBackward>();
  const uint32_t width = p.parts.count * p.rank;
  uint32_t row = 0;
  for (uint32_t i = 0; i < p.parts.count; ++i) {
    const uint32_t columns = p.parts.columns[i];
    const GemmOperand<T> dy{call.data<T>(0) + p.parts.first[i], p.ldc, p.rows, columns};
    const GemmOperand<T> b{call.data<T>(1) + size_t(row) * p.rank, p.rank, columns, p.rank};
    const GemmOutput out{.c = call.data<T>(2) + i * p.rank,
                         .bias = nullptr,
                         .scale_a = nullptr,
                         .scale_b = nullptr,
                         .factor = p.scale,
                         .m = p.rows,
                         .n = p.rank,
                         .ldc = width,
                         .accumulate = false,
                         .wide = call.dtype(2) == DType::f32,
                         .packs = true};
    launch_product<abi::kGemmNn>(dy, b, columns, out, stream);
    row += columns;
  }
}

template <typename T>
void backward(const Call& call, Stream stream) {
  const auto& p = call.as<abi::LoraExpandBackward>();
  if constexpr (sizeof(T) == 2)
    if (p.rank <= kThinRank)
      return with_thin_rank(p.rank, [&](auto rank) {
        launch(backward_kernel<rank.value>, dim3(ceil_div(p.rows, kRows), p.parts.count), dim3(kThreads),
               2 * kDepth * kThinStride<rank.value> * sizeof(bf16), stream, call.data<bf16>(0), call.data<bf16>(1),
               call.data<bf16>(2), p);
      });
  backward_parts<T>(call, stream);
}

}  // namespace

bool lora_expand_backward(const Call& call, Stream stream) {
  return with_float(call.dtype(0), [&](auto t) { backward<decltype(t)>(call, stream); });
}

}  // namespace tandem::kernels
