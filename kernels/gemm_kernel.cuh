// The GEMM of any shape, for gemm and for the products of adapters: a block of 256 makes a tile of 128 x 128 through a
// ring of stages of k in shared memory; a single row of form nt (a token in generation) gets a warp a column.
// An element's products are added in the order of k, on tensor cores a fragment of 16 (bf16) or 32 (e4m3) at a time; a
// row's by lane l over packs l, l + 32, ... of 8, then those past the last whole pack, then a butterfly over the warp.
#pragma once

#include "core/abi/gemm.h"

#include <type_traits>

#include "kernels/gemm_tile.cuh"

namespace tandem::kernels {

constexpr uint32_t kStages = 4, kStageBytes = 2 * kTileBytes, kShared = kStages * kStageBytes;
static_assert(kSumsBytes <= kShared);
constexpr uint32_t kRasterRows = 8;  // tiles; blocks run down so many rows of tiles first, for L2

// What becomes of a sum: scaled, plus the bias or beta times a matrix, plus the old c, rounded once.
struct GemmOutput {
  void* c;
  const void* bias;                // or null
  const float *scale_a, *scale_b;  // or null
  float factor;                    // the sum's, beside the scales
  uint32_t m, n, ldc;
  bool accumulate;
  bool wide;            // c and bias are f32, else bf16
  bool packs;           // parts of 8 columns stand at 16 bytes
  bool matrix = false;  // the bias is one, laid out as c
  float beta = 1.0f;
};

// what is added in this row, from this column on
template <typename C>
__device__ __forceinline__ const C* bias_at(const GemmOutput& out, uint32_t row, uint32_t column) {
  return static_cast<const C*>(out.bias) + (out.matrix ? size_t(row) * out.ldc : 0) + column;
}

template <typename C>
__device__ __forceinline__ void store_one(const GemmOutput& out, uint32_t row, uint32_t column, float scale,
                                          float sum) {
  C* const at = static_cast<C*>(out.c) + size_t(row) * out.ldc + column;
  sum *= scale;
  if (out.bias) sum += out.beta * to_float(*bias_at<C>(out, row, column));
  if (out.accumulate) sum = to_float(*at) + sum;
  *at = from_float<C>(sum);
}

// the block stores its tile of sums, at m0 and n0 of c
template <typename C>
__device__ __forceinline__ void store_tile(const GemmOutput& out, const float* sums, uint32_t m0, uint32_t n0) {
  const float by = out.scale_a ? *out.scale_a * *out.scale_b : out.factor;  // NaN when an operand is poisoned
  for (uint32_t i = threadIdx.x; i < kTileRows * kTileRows / 8; i += kGemmThreads) {
    const uint32_t line = i / (kTileRows / 8), row = m0 + line, first = i % (kTileRows / 8) * 8, column = n0 + first;
    if (row >= out.m || column >= out.n) continue;
    Pack v = load8(sums + sum_offset(line, first));
    if (!out.packs || column + 8 > out.n) {
      for (uint32_t j = 0; j < 8; ++j)
        if (column + j < out.n) store_one<C>(out, row, column + j, by, v.v[j]);
      continue;
    }
    C* const at = static_cast<C*>(out.c) + size_t(row) * out.ldc + column;
    v = scale(v, by);
    if (out.bias)
      for (uint32_t j = 0; j < 8; ++j) v.v[j] += out.beta * to_float(bias_at<C>(out, row, column)[j]);
    if (out.accumulate) v = add(load8(at), v);
    store8(at, v);
  }
}

template <typename T>
using SumsOf = std::conditional_t<std::is_same_v<T, float>, FloatSums, TensorSums<T>>;

template <uint32_t form, bool aligned, typename T>
// (two blocks of e4m3 want 128 registers, which sm_90, that makes their mma out of f16, lacks)
__global__ void __launch_bounds__(kGemmThreads, sizeof(T) == 2 ? 2 : 1)
    gemm_kernel(GemmOperand<T> a, GemmOperand<T> b, uint32_t k, GemmOutput out) {
  constexpr bool a_along = form != abi::kGemmTn, b_along = form == abi::kGemmNt;  // how k runs in memory
  DYN_SHARED(unsigned char, shared);
  const uint32_t tiles_m = (out.m + kTileRows - 1) / kTileRows, tiles_n = (out.n + kTileRows - 1) / kTileRows;
  const uint32_t group = blockIdx.x / (kRasterRows * tiles_n), in_group = blockIdx.x % (kRasterRows * tiles_n);
  const uint32_t rows = min(kRasterRows, tiles_m - group * kRasterRows);
  const uint32_t m0 = (group * kRasterRows + in_group % rows) * kTileRows, n0 = in_group / rows * kTileRows;
  const uint32_t steps = (k + kTileDepth<T> - 1) / kTileDepth<T>;

  const auto load = [&](uint32_t step) {
    unsigned char* const stage = shared + step % kStages * kStageBytes;
    const uint32_t k0 = step * kTileDepth<T>;
    if (step < steps) {
      load_tile<kLineChunks<T, a_along>, aligned>(stage, a, a_along ? m0 : k0, a_along ? k0 : m0);
      load_tile<kLineChunks<T, b_along>, aligned>(stage + kTileBytes, b, b_along ? n0 : k0, b_along ? k0 : n0);
    }
    cp_async_commit();  // an empty group past the end, so that the count of those under way stays
  };
  for (uint32_t step = 0; step < kStages - 1; ++step) load(step);
  SumsOf<T> sums;
  const bool busy = sums.template makes<a_along, b_along>(out.m - m0, out.n - n0);
  for (uint32_t step = 0; step < steps; ++step) {
    cp_async_wait<kStages - 2>();
    __syncthreads();  // this step's stage is filled, the last one's is free
    load(step + kStages - 1);
    const unsigned char* const stage = shared + step % kStages * kStageBytes;
    if (busy) sums.template add<a_along, b_along>(stage, stage + kTileBytes);
  }
  __syncthreads();  // the stages are free
  auto* const tile = reinterpret_cast<float*>(shared);
  sums.template put<a_along, b_along>(tile);
  __syncthreads();
  out.wide ? store_tile<float>(out, tile, m0, n0) : store_tile<bf16>(out, tile, m0, n0);
}

// c (1, n) = a (1, k) b (n, k)^T
template <typename T>
__global__ void __launch_bounds__(kGemmThreads)
    gemm_row_kernel(const T* __restrict__ a, GemmOperand<T> b, GemmOutput out) {
  const uint32_t column = (blockIdx.x * kGemmThreads + threadIdx.x) / 32, lane = threadIdx.x % 32;
  if (column >= out.n) return;
  const T* const from = b.data + size_t(column) * b.ld;
  float sum = 0.0f;
#pragma unroll 4
  for (uint32_t i = lane; i < b.width / 8; i += 32) {
    const Pack x = load8(a + i * 8), y = load8(from + i * 8);
    float part = x.v[0] * y.v[0];
    for (int j = 1; j < 8; ++j) part = fmaf(x.v[j], y.v[j], part);
    sum += part;
  }
  if (const uint32_t i = b.width / 8 * 8 + lane; i < b.width) sum = fmaf(to_float(a[i]), to_float(from[i]), sum);
  sum = warp_sum(sum);
  if (lane != 0) return;
  out.wide ? store_one<float>(out, 0, column, out.factor, sum) : store_one<bf16>(out, 0, column, out.factor, sum);
}

inline bool at_16_bytes(const void* p) {
  return reinterpret_cast<uintptr_t>(p) % 16 == 0;
}

// c = a b, in form's layout; out says where it goes.
template <uint32_t form, typename T>
void launch_product(const GemmOperand<T>& a, const GemmOperand<T>& b, uint32_t k, const GemmOutput& out,
                    Stream stream) {
  const bool aligned = at_16_bytes(a.data) && at_16_bytes(b.data) && (a.ld | b.ld) * sizeof(T) % 16 == 0;
  if constexpr (form == abi::kGemmNt && sizeof(T) > 1) {
    if (out.m == 1 && aligned) {
      launch(gemm_row_kernel<T>, dim3(ceil_div(out.n, kGemmThreads / 32)), dim3(kGemmThreads), 0, stream, a.data, b,
             out);
      return;
    }
  }
  launch(aligned ? gemm_kernel<form, true, T> : gemm_kernel<form, false, T>,
         dim3(ceil_div(out.m, kTileRows) * ceil_div(out.n, kTileRows)), dim3(kGemmThreads), kShared, stream, a, b, k,
         out);
}

}  // namespace tandem::kernels
