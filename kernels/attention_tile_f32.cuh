// What the attention kernels for f32 share. 256 threads hold 32 rows of their own (queries, or keys in the gradient of
// keys and values) against tiles of 16 others: thread (y, x) has rows y and y + 16 against the tile's row x, and of
// head_dim the elements 4 x ... 4 x + 3, then those 64 further on. All of it f32, fused multiply-adds, no TF32.
// head_dim is padded with zeros to kDim.
#pragma once

#include "kernels/attention_tile.cuh"

namespace tandem::kernels {

constexpr int kOwnRows = 32, kOtherRows = 16, kF32Threads = 256;
constexpr int kWeightStride = kOtherRows + 1;

// floats from row to row: four more than kDim put the rows that threads read at once on different banks
template <int kDim>
constexpr int kF32Stride = kDim + 4;

// own tiles and one of others, and two sets of weights
template <int kDim>
constexpr size_t f32_bytes(int own_tiles) {
  return sizeof(float) * size_t((own_tiles * kOwnRows + kOtherRows) * kF32Stride<kDim> + 2 * kOwnRows * kWeightStride);
}

template <typename F>
void with_f32_dim(uint32_t head_dim, const F& f) {
  if (head_dim <= 64) return f(DimConstant<64>{});
  if (head_dim <= 128) return f(DimConstant<128>{});
  f(DimConstant<256>{});
}

// rows first ... first + kRows - 1 of x; those from rows on become zero
template <int kRows, int kDim>
__device__ __forceinline__ void load_f32(float* tile, const HeadRows<const float>& x, int first, int rows) {
  for (int i = int(threadIdx.x) * 4; i < kRows * kDim; i += kF32Threads * 4) {
    const int row = i / kDim, column = i % kDim, t = first + row;
    const bool present = t < rows && column < int(x.head_dim);
    *reinterpret_cast<float4*>(tile + row * kF32Stride<kDim> + column) =
        present ? *reinterpret_cast<const float4*>(x.row(t) + column) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  }
}

// own rows y and y + 16 times row x of the others, elements in order
template <int kDim>
__device__ __forceinline__ void dot_f32(float (&c)[2], const float* own, const float* others) {
  const float* const b = others + threadIdx.x % 16 * kF32Stride<kDim>;
  const float* const a = own + threadIdx.x / 16 * kF32Stride<kDim>;
  c[0] = c[1] = 0.0f;
  for (int d = 0; d < kDim; d += 4) {
    const float4 right = *reinterpret_cast<const float4*>(b + d);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float4 left = *reinterpret_cast<const float4*>(a + h * 16 * kF32Stride<kDim> + d);
      c[h] = fmaf(left.w, right.w, fmaf(left.z, right.z, fmaf(left.y, right.y, fmaf(left.x, right.x, c[h]))));
    }
  }
}

// sum += weights others, others in order; seen(h, i): whether own row y + 16 h sees the i-th of the others, whose NaN
// must stay out else
template <int kDim, typename Seen>
__device__ __forceinline__ void mix_f32(float (&sum)[2][kDim / 16], const float* weights, const float* others,
                                        const Seen& seen) {
  for (int i = 0; i < kOtherRows; ++i)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      if (!seen(h, i)) continue;
      const float weight = weights[(int(threadIdx.x) / 16 + h * 16) * kWeightStride + i];
#pragma unroll
      for (int d = 0; d < kDim / 64; ++d) {
        const float4 v =
            *reinterpret_cast<const float4*>(others + i * kF32Stride<kDim> + d * 64 + threadIdx.x % 16 * 4);
        sum[h][d * 4] = fmaf(weight, v.x, sum[h][d * 4]);
        sum[h][d * 4 + 1] = fmaf(weight, v.y, sum[h][d * 4 + 1]);
        sum[h][d * 4 + 2] = fmaf(weight, v.z, sum[h][d * 4 + 2]);
        sum[h][d * 4 + 3] = fmaf(weight, v.w, sum[h][d * 4 + 3]);
      }
    }
}

// own rows first + y and first + y + 16, times factor
template <int kDim>
__device__ __forceinline__ void store_f32(const HeadRows<float>& x, const float (&sum)[2][kDim / 16],
                                          const float (&factor)[2], int first, int rows) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int t = first + int(threadIdx.x) / 16 + h * 16;
#pragma unroll
    for (int d = 0; d < kDim / 64; ++d) {
      const int column = d * 64 + int(threadIdx.x) % 16 * 4;
      if (t < rows && column < int(x.head_dim))
        *reinterpret_cast<float4*>(x.row(t) + column) =
            make_float4(sum[h][d * 4] * factor[h], sum[h][d * 4 + 1] * factor[h], sum[h][d * 4 + 2] * factor[h],
                        sum[h][d * 4 + 3] * factor[h]);
    }
  }
}

}  // namespace tandem::kernels
