// The tiles of the GEMM in shared memory and what a thread multiplies out of them.
// A tile holds 128 rows of A (or columns of B) by 64 bytes of k, as memory holds them: where k runs along memory,
// 128 lines of 4 chunks of 16 bytes; where it runs across, a line a k, whose chunks run over the rows.
#pragma once

#include "kernels/device.cuh"

namespace tandem::kernels {

constexpr uint32_t kGemmThreads = 256;
constexpr uint32_t kTileRows = 128, kTileBytes = 8192, kTileChunks = kTileBytes / 16;

template <typename T>
constexpr uint32_t kTileDepth = 64 / sizeof(T);  // along k
template <typename T, bool k_along>
constexpr uint32_t kLineChunks = k_along ? 4 : kTileRows * sizeof(T) / 16;

// Byte offset of a chunk. Chunks change places so that 8 lines' chunks of one column lie in different banks.
template <uint32_t chunks>
__device__ __forceinline__ uint32_t tile_offset(uint32_t line, uint32_t chunk) {
  const uint32_t swizzled = chunks == 4 ? chunk ^ (line / 2 % 4) : chunk ^ (line % 8);
  return (line * chunks + swizzled) * 16;
}

// an operand: lines of `width` elements, ld apart
template <typename T>
struct GemmOperand {
  const T* data;
  uint32_t ld, lines, width;
};

// The tile that starts at this line and column; elements outside of the operand are zero. Aligned (all lines at 16
// bytes): by cp.async, for the caller to commit.
template <uint32_t chunks, bool aligned, typename T>
__device__ __forceinline__ void load_tile(unsigned char* tile, const GemmOperand<T>& x, uint32_t first_line,
                                          uint32_t first_column) {
  constexpr uint32_t kElements = 16 / sizeof(T);
#pragma unroll
  for (uint32_t i = 0; i < kTileChunks / kGemmThreads; ++i) {
    const uint32_t at = i * kGemmThreads + threadIdx.x;
    const uint32_t line = first_line + at / chunks, column = first_column + at % chunks * kElements;
    const uint32_t count = line < x.lines && column < x.width ? min(kElements, x.width - column) : 0;
    const T* const from = x.data + (count > 0 ? size_t(line) * x.ld + column : 0);
    unsigned char* const to = tile + tile_offset<chunks>(at / chunks, at % chunks);
    if constexpr (aligned) {
      cp_async16(to, from, count * uint32_t(sizeof(T)));
    } else {
      for (uint32_t j = 0; j < kElements; ++j) reinterpret_cast<T*>(to)[j] = j < count ? from[j] : T{};
    }
  }
}

// Where a tile's sums stand in shared memory at the end, in floats; packs of 8 columns stay whole.
constexpr size_t kSumsBytes = kTileRows * kTileRows * sizeof(float);
__device__ __forceinline__ uint32_t sum_offset(uint32_t row, uint32_t column) {
  return row * kTileRows + (column ^ row % 4 * 8);
}

// f32: a thread of 16 x 16 makes 8 x 8 elements. Which: by their operand's layout, so that neighbours read neighbouring
// banks.
struct FloatSums {
  float sums[8][8] = {};

  template <bool k_along>
  static __device__ __forceinline__ uint32_t row(uint32_t thread, uint32_t i) {
    return k_along ? thread + 16 * i : 4 * thread + i % 4 + i / 4 * 64;
  }

  // whether the thread makes any of the tile's first rows x columns
  template <bool a_along, bool b_along>
  static __device__ __forceinline__ bool makes(uint32_t rows, uint32_t columns) {
    return row<a_along>(threadIdx.x / 16, 0) < rows && row<b_along>(threadIdx.x % 16, 0) < columns;
  }

  // x[i][j]: row i of the thread at k + j
  template <bool k_along>
  static __device__ __forceinline__ void fragment(float (&x)[8][4], const unsigned char* tile, uint32_t thread,
                                                  uint32_t k) {
    constexpr uint32_t kChunks = kLineChunks<float, k_along>;
    const auto chunk = [tile](uint32_t line, uint32_t c) {
      return *reinterpret_cast<const float4*>(tile + tile_offset<kChunks>(line, c));
    };
#pragma unroll
    for (uint32_t i = 0; i < 8; ++i) {
      const float4 v = k_along ? chunk(row<true>(thread, i), k / 4) : chunk(k + i % 4, thread + i / 4 * 16);
      const float e[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
      for (uint32_t j = 0; j < 4; ++j) (k_along ? x[i][j] : x[i / 4 * 4 + j][i % 4]) = e[j];
    }
  }

  template <bool a_along, bool b_along>
  __device__ __forceinline__ void add(const unsigned char* tile_a, const unsigned char* tile_b) {
#pragma unroll
    for (uint32_t k = 0; k < kTileDepth<float>; k += 4) {
      float a[8][4], b[8][4];
      fragment<a_along>(a, tile_a, threadIdx.x / 16, k);
      fragment<b_along>(b, tile_b, threadIdx.x % 16, k);
#pragma unroll
      for (uint32_t l = 0; l < 4; ++l)
#pragma unroll
        for (uint32_t i = 0; i < 8; ++i)
#pragma unroll
          for (uint32_t j = 0; j < 8; ++j) sums[i][j] = fmaf(a[i][l], b[j][l], sums[i][j]);
    }
  }

  template <bool a_along, bool b_along>
  __device__ __forceinline__ void put(float* tile) const {
#pragma unroll
    for (uint32_t i = 0; i < 8; ++i)
#pragma unroll
      for (uint32_t j = 0; j < 8; ++j)
        tile[sum_offset(row<a_along>(threadIdx.x / 16, i), row<b_along>(threadIdx.x % 16, j))] = sums[i][j];
  }
};

// bf16 and e4m3 on tensor cores: a warp of 2 x 4 makes 64 x 32 elements, 4 x 4 fragments of 16 x 8.
template <typename T>
struct TensorSums {
  float sums[4][4][4] = {};

  static __device__ __forceinline__ uint32_t first_row() { return threadIdx.x / 128 * 64; }
  static __device__ __forceinline__ uint32_t first_column() { return threadIdx.x / 32 % 4 * 32; }

  template <bool a_along, bool b_along>
  static __device__ __forceinline__ bool makes(uint32_t rows, uint32_t columns) {  // a whole warp agrees
    return first_row() < rows && first_column() < columns;
  }

  // 16 rows from `row` on by 32 bytes of k; half: which of the tile's two
  template <bool k_along>
  static __device__ __forceinline__ void fragment_a(uint32_t (&x)[4], const unsigned char* tile, uint32_t row,
                                                    uint32_t half) {
    constexpr uint32_t kChunks = kLineChunks<T, k_along>;
    const uint32_t lane = threadIdx.x % 32;
    if constexpr (k_along) ldmatrix_x4(x, tile + tile_offset<kChunks>(row + lane % 16, half * 2 + lane / 16));
    else
      ldmatrix_x4_trans(x, tile + tile_offset<kChunks>(half * 16 + lane / 16 * 8 + lane % 8, row / 8 + lane / 8 % 2));
  }
  // 16 columns: two fragments
  template <bool k_along>
  static __device__ __forceinline__ void fragment_b(uint32_t (&x)[4], const unsigned char* tile, uint32_t column,
                                                    uint32_t half) {
    constexpr uint32_t kChunks = kLineChunks<T, k_along>;
    const uint32_t lane = threadIdx.x % 32;
    if constexpr (k_along)
      ldmatrix_x4(x, tile + tile_offset<kChunks>(column + lane / 16 * 8 + lane % 8, half * 2 + lane / 8 % 2));
    else ldmatrix_x4_trans(x, tile + tile_offset<kChunks>(half * 16 + lane % 16, column / 8 + lane / 16));
  }

  static __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    if constexpr (sizeof(T) == 1) mma_m16n8k32_e4m3(d, a, b);
    else mma_m16n8k16_bf16(d, a, b);
  }

  template <bool a_along, bool b_along>
  __device__ __forceinline__ void add(const unsigned char* tile_a, const unsigned char* tile_b) {
#pragma unroll
    for (uint32_t half = 0; half < 2; ++half) {
      uint32_t b[2][4];
#pragma unroll
      for (uint32_t j = 0; j < 2; ++j) fragment_b<b_along>(b[j], tile_b, first_column() + j * 16, half);
#pragma unroll
      for (uint32_t i = 0; i < 4; ++i) {
        uint32_t a[4];
        fragment_a<a_along>(a, tile_a, first_row() + i * 16, half);
#pragma unroll
        for (uint32_t j = 0; j < 4; ++j) multiply(sums[i][j], a, {b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]});
      }
    }
  }

  template <bool a_along, bool b_along>
  __device__ __forceinline__ void put(float* tile) const {
    const uint32_t row = first_row() + threadIdx.x % 32 / 4, column = first_column() + threadIdx.x % 4 * 2;
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i)
#pragma unroll
      for (uint32_t j = 0; j < 4; ++j)
#pragma unroll
        for (uint32_t h = 0; h < 2; ++h)
          *reinterpret_cast<float2*>(tile + sum_offset(row + i * 16 + h * 8, column + j * 8)) =
              make_float2(sums[i][j][h * 2], sums[i][j][h * 2 + 1]);
  }
};

}  // namespace tandem::kernels
