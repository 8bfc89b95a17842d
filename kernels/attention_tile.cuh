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
                kStep = int(kTileThreads) / kLanes;  // of a row; rows at once
  const int row = int(threadIdx.x) / kLanes, column = int(threadIdx.x) % kLanes * 8;
  if (column >= kDim) return;
  bf16* to = tile + row * kTileStride<kDim> + column;
  const int last = column < int(x.head_dim) ? high : -1;
  const uint32_t step = x.stride * uint32_t(kStep);
  uint32_t at = x.at + uint32_t(first + row) * x.stride + uint32_t(column);
#pragma unroll
  for (int i = 0; i < kRows; i += kStep, at += step) {
    const int t = first + row + i;
    cp_async16(to + i * kTileStride<kDim>, x.data + at, t >= low && t <= last ? 16 : 0);
  }
}

// c += a b^T, a: 16 kM rows, b: 8 kN rows
template <int kDim, int kM, int kN>
__device__ __forceinline__ void multiply_transposed(float (&c)[kM][kN][4], const bf16* a, const bf16* b) {
  const int lane = int(threadIdx.x % 32);
  a += lane % 16 * kTileStride<kDim> + lane / 16 * 8;
  b += (lane / 16 * 8 + lane % 8) * kTileStride<kDim> + lane / 8 % 2 * 8;
#pragma unroll
  for (int k = 0; k < kDim; k += 16) {
    uint32_t left[kM][4];
#pragma unroll
    for (int m = 0; m < kM; ++m) ldmatrix_x4(left[m], a + m * 16 * kTileStride<kDim> + k);
#pragma unroll
    for (int n = 0; n < kN; n += 2) {
      uint32_t right[4];
      ldmatrix_x4(right, b + n * 8 * kTileStride<kDim> + k);
#pragma unroll
      for (int m = 0; m < kM; ++m) {
        mma_m16n8k16_bf16(c[m][n], left[m], {right[0], right[1]});
        mma_m16n8k16_bf16(c[m][n + 1], left[m], {right[2], right[3]});
      }
    }
  }
}

// fragments of a product as the left operand of the next, rounded to bf16
template <int kM, int kN>
struct LeftOperand {
  uint32_t words[kM][kN / 2][4];
};
template <int kM, int kN>
__device__ __forceinline__ LeftOperand<kM, kN> left_operand(const float (&c)[kM][kN][4]) {
  LeftOperand<kM, kN> r;
#pragma unroll
  for (int m = 0; m < kM; ++m)
#pragma unroll
    for (int n = 0; n < kN; ++n) {
      r.words[m][n / 2][n % 2 * 2] = pack_bf16_numbers(c[m][n][0], c[m][n][1]);
      r.words[m][n / 2][n % 2 * 2 + 1] = pack_bf16_numbers(c[m][n][2], c[m][n][3]);
    }
  return r;
}

// c += a b, b: 8 kN rows
template <int kDim, int kM, int kN>
__device__ __forceinline__ void multiply(float (&c)[kM][kDim / 8][4], const LeftOperand<kM, kN>& a, const bf16* b) {
  const int lane = int(threadIdx.x % 32);
  b += lane % 16 * kTileStride<kDim> + lane / 16 * 8;
#pragma unroll
  for (int k = 0; k < kN / 2; ++k)
#pragma unroll
    for (int n = 0; n < kDim / 8; n += 2) {
      uint32_t right[4];
      ldmatrix_x4_trans(right, b + k * 16 * kTileStride<kDim> + n * 8);
#pragma unroll
      for (int m = 0; m < kM; ++m) {
        mma_m16n8k16_bf16(c[m][n], a.words[m][k], {right[0], right[1]});
        mma_m16n8k16_bf16(c[m][n + 1], a.words[m][k], {right[2], right[3]});
      }
    }
}

// 2^x within 3e-6 of itself, for x < 128; 0 below -127, so that minus infinity weighs nothing; NaN stays NaN
__device__ __forceinline__ float exp2_tile(float x) {
  x = max_or_nan(x, -127.0f);
  const float shifted = x + 12583039.0f;  // 1.5 * 2^23 + 127: the lowest bits are the exponent of 2^n, n = x rounded
  const float f = x - (shifted - 12583039.0f);
  float p = fmaf(9.5828551e-3f, f, 5.5906435e-2f);
  p = fmaf(p, f, 2.4024099e-1f);
  p = fmaf(p, f, 6.9312419e-1f);
  p = fmaf(p, f, 1.0f);
  return p * abi::bits_float(abi::float_bits(shifted) << 23);
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

// Rows low ... high of what the warp holds, times factor (of a lane's rows), rounded, by way of the warp's own rows of
// a tile so that they leave in packs of 16 bytes. first: the warp's first row in x.
template <int kDim, int kM>
__device__ __forceinline__ void store_rows(const HeadRows<bf16>& x, bf16* tile, const float (&c)[kM][kDim / 8][4],
                                           const float (&factor)[kM][2], int first, int low, int high) {
  const int lane = int(threadIdx.x % 32);
  __syncwarp();
#pragma unroll
  for (int m = 0; m < kM; ++m)
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n)
#pragma unroll
      for (int h = 0; h < 2; ++h)
        *reinterpret_cast<uint32_t*>(tile + (m * 16 + h * 8 + lane / 4) * kTileStride<kDim> + n * 8 + lane % 4 * 2) =
            pack_bf16(c[m][n][2 * h] * factor[m][h], c[m][n][2 * h + 1] * factor[m][h]);
  __syncwarp();
  constexpr int kPacks = kDim / 8;
  for (int i = lane; i < kM * 16 * kPacks; i += 32) {
    const int row = i / kPacks, column = i % kPacks * 8, t = first + row;
    if (t >= low && t <= high && column < int(x.head_dim))
      store_raw(x.row(t) + column, load_raw(tile + row * kTileStride<kDim> + column));
  }
}

}  // namespace tandem::kernels
