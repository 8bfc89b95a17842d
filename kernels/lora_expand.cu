// lora_expand: see core/abi/lora_expand.h. A product per part, and zeros in the columns between parts.
// Order of sums: for thin ranks fragments of 16 in order, of a single row too; else that of kernels/gemm_kernel.cuh.
// Reads t (rows, count * rank), b (rows of b, rank), writes c (rows, ldc), which is nearly all of the traffic: 2 bytes
// per value in bf16, 0.52 ns per 1000 at 90% of an H200's 4.3 TB/s.
#include "core/abi/lora_expand.h"

#include "kernels/gemm_kernel.cuh"
#include "kernels/lora_thin.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kZeroThreads = 128;

// A thread takes 8 columns of a row.
template <typename T>
__global__ void __launch_bounds__(kZeroThreads)
    zero_columns_kernel(T* c, uint32_t rows, uint32_t ldc, uint32_t first, uint32_t columns) {
  const uint64_t packs = columns / 8, i = uint64_t(blockIdx.x) * kZeroThreads + threadIdx.x;
  if (i < rows * packs) store8(c + i / packs * ldc + first + i % packs * 8, Pack{});
}

template <typename T>
void zero_columns(const Call& call, uint32_t first, uint32_t end, Stream stream) {
  const auto& p = call.as<abi::LoraExpand>();
  if (first == end) return;
  const uint64_t packs = uint64_t(p.rows) * ((end - first) / 8);
  launch(zero_columns_kernel<T>, dim3(uint32_t((packs + kZeroThreads - 1) / kZeroThreads)), dim3(kZeroThreads), 0,
         stream, call.data<T>(2), p.rows, p.ldc, first, end - first);
}

template <typename T>
void zero_between_parts(const Call& call, Stream stream) {
  const auto& p = call.as<abi::LoraExpand>();
  uint32_t end = 0;
  for (uint32_t i = 0; i < p.parts.count; end = p.parts.first[i] + p.parts.columns[i], ++i)
    zero_columns<T>(call, end, p.parts.first[i], stream);
  zero_columns<T>(call, end, p.ldc, stream);
}

constexpr uint32_t kThreads = 128, kColumns = 128;
constexpr uint32_t kMostRank = kThinRank / 2;  // beyond it the GEMM of any shape is faster
constexpr uint32_t kFragmentRows = 16, kWarpFragments = 2, kRows = kThreads / 32 * kFragmentRows * kWarpFragments;

// two neighbours of a row, or zeros past its end
__device__ __forceinline__ uint32_t load_pair(const bf16* row, uint32_t column, uint32_t width) {
  return column < width ? *reinterpret_cast<const uint32_t*>(row + column) : 0u;
}

// A block makes a tile of 128 x 128, a warp 32 rows of it, 32 columns at a time. Fragment f has columns 8 i + 2 f and
// the next of each eight, so that a lane's four fragments are eight neighbours.
template <uint32_t kRank>
__global__ void __launch_bounds__(kThreads)
    expand_kernel(const bf16* __restrict__ t, const bf16* __restrict__ b, bf16* c, abi::LoraExpand p) {
  constexpr uint32_t kFragments = kRank / 16;
  const PartTile tile = part_tile(p.parts, blockIdx.y, kColumns);
  const uint32_t lane = threadIdx.x % 32, group = lane / 4, pair = lane % 4 * 2, width = p.parts.count * p.rank;
  const uint32_t row0 = blockIdx.x * kRows + threadIdx.x / 32 * kFragmentRows * kWarpFragments + group;
  uint32_t a[kWarpFragments][kFragments][4];
#pragma unroll
  for (uint32_t i = 0; i < kWarpFragments * 2; ++i) {
    const uint32_t row = row0 + i * 8;
    const bf16* const from = t + size_t(min(row, p.rows - 1)) * width + tile.part * p.rank;
#pragma unroll
    for (uint32_t k = 0; k < kFragments; ++k)
#pragma unroll
      for (uint32_t h = 0; h < 2; ++h) a[i / 2][k][h * 2 + i % 2] = load_pair(from, k * 16 + h * 8 + pair, p.rank);
  }
#pragma unroll 1
  for (uint32_t q = 0; q < kColumns && tile.column + q < tile.columns; q += 32) {
    float sums[kWarpFragments][4][4] = {};
#pragma unroll
    for (uint32_t f = 0; f < 4; ++f) {
      const uint32_t column = min(tile.column + q + group / 2 * 8 + f * 2 + group % 2, tile.columns - 1);
      const bf16* const from = b + size_t(tile.row + column) * p.rank;
#pragma unroll
      for (uint32_t k = 0; k < kFragments; ++k) {
        const uint32_t right[2] = {load_pair(from, k * 16 + pair, p.rank), load_pair(from, k * 16 + 8 + pair, p.rank)};
#pragma unroll
        for (uint32_t i = 0; i < kWarpFragments; ++i) mma_m16n8k16_bf16(sums[i][f], a[i][k], right);
      }
    }
    const uint32_t column = tile.column + q + lane % 4 * 8;
    if (column >= tile.columns) continue;
#pragma unroll
    for (uint32_t i = 0; i < kWarpFragments * 2; ++i) {
      if (row0 + i * 8 >= p.rows) break;
      Pack v;
#pragma unroll
      for (uint32_t j = 0; j < 8; ++j) v.v[j] = sums[i / 2][j / 2][i % 2 * 2 + j % 2] * p.scale;
      store8(c + size_t(row0 + i * 8) * p.ldc + tile.first + column, v);
    }
  }
}

template <typename T>
void expand_parts(const Call& call, Stream stream) {
  const auto& p = call.as<abi::LoraExpand>();
  uint32_t row = 0;
  for (uint32_t i = 0; i < p.parts.count; ++i) {
    const uint32_t columns = p.parts.columns[i];
    const GemmOperand<T> t{call.data<T>(0) + i * p.rank, p.parts.count * p.rank, p.rows, p.rank};
    const GemmOperand<T> b{call.data<T>(1) + size_t(row) * p.rank, p.rank, columns, p.rank};
    const GemmOutput out{.c = call.data<T>(2) + p.parts.first[i],
                         .bias = nullptr,
                         .scale_a = nullptr,
                         .scale_b = nullptr,
                         .factor = p.scale,
                         .m = p.rows,
                         .n = columns,
                         .ldc = p.ldc,
                         .accumulate = false,
                         .wide = call.dtype(2) == DType::f32,
                         .packs = true};
    launch_product<abi::kGemmNt>(t, b, p.rank, out, stream);
    row += columns;
  }
}

template <typename T>
void expand(const Call& call, Stream stream) {
  const auto& p = call.as<abi::LoraExpand>();
  zero_between_parts<T>(call, stream);
  if constexpr (sizeof(T) == 2) {
    const auto thin = [&](auto rank) {
      launch(expand_kernel<rank.value>, dim3(ceil_div(p.rows, kRows), part_tiles(p.parts, kColumns)), dim3(kThreads), 0,
             stream, call.data<bf16>(0), call.data<bf16>(1), call.data<bf16>(2), p);
    };
    if (p.rank <= 16) return thin(std::integral_constant<uint32_t, 16>{});
    if (p.rank <= kMostRank) return thin(std::integral_constant<uint32_t, kMostRank>{});
  }
  expand_parts<T>(call, stream);
}

}  // namespace

bool lora_expand(const Call& call, Stream stream) {
  return with_float(call.dtype(0), [&](auto t) { expand<decltype(t)>(call, stream); });
}

}  // namespace tandem::kernels
