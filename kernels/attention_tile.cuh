// What the attention kernels for bf16 share: tiles in shared memory, products of tiles by mma.sync, exp2, documents.
// A warp makes 16 * m rows of a product; c[m][n] is the fragment of rows 16 m ... 16 m + 15 and columns 8 n ... 8 n +
// 7, of which lane l has rows l / 4 and l / 4 + 8, columns l % 4 * 2 and the next. head_dim is padded with zeros to
// kDim.
#pragma once

#include "kernels/device.cuh"

namespace tandem::kernels {

constexpr uint32_t kTileThreads = 128, kTileWarps = kTileThreads / 32;

// elements from row to row of a tile: 8 more than kDim put the eight rows that ldmatrix reads at once on different
// banks
template <int kDim>
constexpr int kTileStride = kDim + 8;

template <int kDim>
constexpr size_t tile_bytes(int rows) {
  return size_t(rows) * kTileStride<kDim> * sizeof(bf16);
}

// the warp's number as a value that the compiler knows to be one for all lanes, which spares registers
__device__ __forceinline__ int warp_number() {
  return __shfl_sync(kFullWarp, int(threadIdx.x / 32), 0);
}

// f(integer_constant<kDim>) with the least kDim of the instances that holds head_dim
template <int kDim>
struct DimConstant {
  static constexpr int value = kDim;
};
template <typename F>
void with_tile_dim(uint32_t head_dim, const F& f) {
  if (head_dim <= 64) return f(DimConstant<64>{});
  if (head_dim <= 80) return f(DimConstant<80>{});
  if (head_dim <= 96) return f(DimConstant<96>{});
  if (head_dim <= 128) return f(DimConstant<128>{});
  f(DimConstant<256>{});
}

// One head of one sequence: row t at data + at + t * stride, head_dim elements. Operands hold less than 2^32 elements,
// and 32-bit offsets from a kernel's parameter take fewer registers than pointers.
template <typename T>
struct HeadRows {
  T* data;
  uint32_t at, stride, head_dim;
  __device__ __forceinline__ T* row(int t) const { return data + (at + uint32_t(t) * stride); }
};

// the first key that query t sees; it never falls as t grows
__device__ __forceinline__ int first_key(const int32_t* positions, int t) {
  return t - int(min(uint32_t(t), uint32_t(positions[t])));
}

// Starts the copy of rows first ... first + kRows - 1 to a tile; rows outside of low ... high become zero.
template <int kRows, int kDim>
__device__ __forceinline__ void load_tile(bf16* tile, const HeadRows<const bf16>& x, int first, int low, int high) {
  constexpr int kLanes = kDim <= 64    ? 8
                         : kDim <= 128 ? 16
                                       : 32,
                kStep = int(kTileThreads) / kLanes;  // a row's; rows at once
  const int row = int(threadIdx.x) / kLanes, column = int(threadIdx.x) % kLanes * 8;
  if (column >= kDim) return;
  bf16* to = tile + row * kTileStride<kDim> + column;
  const uint32_t count = column < int(x.head_dim) ? uint32_t(high - low + 1) : 0u, step = x.stride * uint32_t(kStep);
  uint32_t at = x.at + uint32_t(first + row) * x.stride + uint32_t(column);
#pragma unroll
  for (int i = 0; i < kRows; i += kStep, at += step)
    cp_async16(to + i * kTileStride<kDim>, x.data + at, uint32_t(first + row + i - low) < count ? 16 : 0);
}

// The left operand of a product, 16 kM rows, 16 kK columns; load() gives the fragments of columns 16 k ... 16 k + 15.
// Rows of a tile:
template <int kDim, int kM>
struct LeftRows {
  const bf16* at;
  __device__ __forceinline__ explicit LeftRows(const bf16* rows)
      : at(rows + int(threadIdx.x % 16) * kTileStride<kDim> + int(threadIdx.x % 32 / 16) * 8) {}
  __device__ __forceinline__ void load(uint32_t (&to)[kM][4], int k) const {
#pragma unroll
    for (int m = 0; m < kM; ++m) ldmatrix_x4(to[m], at + m * 16 * kTileStride<kDim> + k * 16);
  }
};
// in registers
template <int kM, int kK>
struct LeftOperand {
  uint32_t words[kK][kM][4];

  LeftOperand() = default;
  // rows of a tile, with head_dim padded to 16 kK
  __device__ __forceinline__ explicit LeftOperand(const bf16* rows) {
    const LeftRows<kK * 16, kM> shared(rows);
#pragma unroll
    for (int k = 0; k < kK; ++k) shared.load(words[k], k);
  }
  // a product, rounded to bf16
  __device__ __forceinline__ explicit LeftOperand(const float (&c)[kM][kK * 2][4]) {
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int n = 0; n < kK * 2; ++n)
#pragma unroll
        for (int h = 0; h < 2; ++h)
          words[n / 2][m][n % 2 * 2 + h] = pack_bf16_numbers(c[m][n][2 * h], c[m][n][2 * h + 1]);
  }
  __device__ __forceinline__ void load(uint32_t (&to)[kM][4], int k) const {
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int i = 0; i < 4; ++i) to[m][i] = words[k][m][i];
  }
};

// c += a b^T, elements 16 k ... 16 k + 15 of head_dim, b: 8 kN rows of a tile
template <int kDim, int kM, int kN, typename Left>
__device__ __forceinline__ void multiply_transposed_step(float (&c)[kM][kN][4], const Left& a, const bf16* b, int k) {
  const int lane = int(threadIdx.x % 32);
  b += (lane / 16 * 8 + lane % 8) * kTileStride<kDim> + lane / 8 % 2 * 8 + k * 16;
  uint32_t left[kM][4];
  a.load(left, k);
#pragma unroll
  for (int n = 0; n < kN; n += 2) {
    uint32_t right[4];
    ldmatrix_x4(right, b + n * 8 * kTileStride<kDim>);
#pragma unroll
    for (int m = 0; m < kM; ++m) {
      mma_m16n8k16_bf16(c[m][n], left[m], {right[0], right[1]});
      mma_m16n8k16_bf16(c[m][n + 1], left[m], {right[2], right[3]});
    }
  }
}
template <int kM, int kN>
__device__ __forceinline__ void clear(float (&c)[kM][kN][4]) {
#pragma unroll
  for (int m = 0; m < kM; ++m)
#pragma unroll
    for (int n = 0; n < kN; ++n) c[m][n][0] = c[m][n][1] = c[m][n][2] = c[m][n][3] = 0.0f;
}
// c = a b^T
template <int kDim, int kM, int kN, typename Left>
__device__ __forceinline__ void multiply_transposed(float (&c)[kM][kN][4], const Left& a, const bf16* b) {
  clear(c);
#pragma unroll
  for (int k = 0; k < kDim / 16; ++k) multiply_transposed_step<kDim>(c, a, b, k);
}

// c += a b, columns 8 n ... 8 n + 15, rows 16 k ... 16 k + 15 of a tile b
template <int kDim, int kM, int kN, int kK>
__device__ __forceinline__ void multiply_step(float (&c)[kM][kN][4], const LeftOperand<kM, kK>& a, const bf16* b, int n,
                                              int k) {
  const int lane = int(threadIdx.x % 32);
  uint32_t right[4];
  ldmatrix_x4_trans(right, b + (k * 16 + lane % 16) * kTileStride<kDim> + lane / 16 * 8 + n * 8);
#pragma unroll
  for (int m = 0; m < kM; ++m) {
    mma_m16n8k16_bf16(c[m][n], a.words[k][m], {right[0], right[1]});
    mma_m16n8k16_bf16(c[m][n + 1], a.words[k][m], {right[2], right[3]});
  }
}
// all of them
template <int kDim, int kM, int kN, int kK>
__device__ __forceinline__ void multiply(float (&c)[kM][kN][4], const LeftOperand<kM, kK>& a, const bf16* b) {
#pragma unroll
  for (int k = 0; k < kK; ++k)
#pragma unroll
    for (int n = 0; n < kN; n += 2) multiply_step<kDim>(c, a, b, n, k);
}

// c = left first^T and sum += right second, a step of each in turn: the few sums of the first would wait for
// themselves
template <int kDim, int kM, int kN>
__device__ __forceinline__ void multiply_in_turn(float (&c)[kM][kN][4], const LeftOperand<kM, kDim / 16>& left,
                                                 const bf16* first, float (&sum)[kM][kDim / 8][4],
                                                 const LeftOperand<kM, kN / 2>& right, const bf16* second) {
  clear(c);
#pragma unroll
  for (int k = 0; k < kDim / 16; ++k) {
    multiply_transposed_step<kDim>(c, left, first, k);
#pragma unroll
    for (int i = k * (kN / 2); i < (k + 1) * (kN / 2); ++i)
      multiply_step<kDim>(sum, right, second, i % (kDim / 16) * 2, i / (kDim / 16));
  }
}

// c = minus infinity where query row0 + (row of c) does not see key column0 + (column of c). first: the first key that
// each row sees
template <int kM, int kN>
__device__ __forceinline__ void hide_unseen(float (&c)[kM][kN][4], int row0, int column0, const int* first) {
  const int lane = int(threadIdx.x % 32);
#pragma unroll
  for (int m = 0; m < kM; ++m)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = m * 16 + h * 8 + lane / 4, from = first[row] - column0, to = row0 + row - column0;
#pragma unroll
      for (int n = 0; n < kN; ++n)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int key = n * 8 + lane % 4 * 2 + e;
          const bool unseen = (key < from) | (key > to);
          c[m][n][2 * h + e] = unseen ? abi::bits_float(0xff800000u) : c[m][n][2 * h + e];
        }
    }
}

// Rows low ... high of what the warp holds, times factor (of a lane's rows), rounded, by way of rows of a tile that
// are the warp's own so that they leave in packs of 16 bytes. first: the warp's first row in x; column: its first
// column; columns below `from` are left to another warp.
template <int kDim, int kM, int kN>
__device__ __forceinline__ void store_rows(const HeadRows<bf16>& x, bf16* tile, const float (&c)[kM][kN][4],
                                           const float (&factor)[kM][2], int first, int low, int high, int column = 0,
                                           int from = 0) {
  const int lane = int(threadIdx.x % 32);
  __syncwarp();
#pragma unroll
  for (int m = 0; m < kM; ++m)
#pragma unroll
    for (int n = 0; n < kN; ++n)
#pragma unroll
      for (int h = 0; h < 2; ++h)
        *reinterpret_cast<uint32_t*>(tile + (m * 16 + h * 8 + lane / 4) * kTileStride<kDim> + n * 8 + lane % 4 * 2) =
            pack_bf16_numbers(c[m][n][2 * h] * factor[m][h], c[m][n][2 * h + 1] * factor[m][h]);
  __syncwarp();
  for (int i = lane; i < kM * 16 * kN; i += 32) {
    const int row = i / kN, at = column + i % kN * 8, t = first + row;
    if (t >= low && t <= high && at >= from && at < int(x.head_dim))
      store_raw(x.row(t) + at, load_raw(tile + row * kTileStride<kDim> + i % kN * 8));
  }
}

}  // namespace tandem::kernels
