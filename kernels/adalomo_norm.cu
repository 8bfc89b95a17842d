// adalomo_norm: see core/abi/adalomo_norm.h. A block of threads a partial. Reads gradient and w of the tensor, the
// factors, which stay in L1 and L2, and row_totals, 4 bytes for 256 rows, in each block; writes 8 bytes for 16384
// elements: bf16 at 90% of 4.3 TB/s takes 1.0 ns per 1000 elements. Thread i adds row_totals i, i + 256, ..., and
// blocks i, i + 256, ... of 4 squares, (0 + 1) + (2 + 3), in order; then block_sum's order.
#include "core/abi/adalomo_norm.h"

#include "kernels/quad.cuh"
#include "kernels/update_words.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 256, kQuads = abi::kAdalomoNormBlock / 4;

// each null where it is absent
struct Factors {
  const float *columns, *rows, *totals;
};

__device__ __forceinline__ float sum_of_squares(Four x) {
  for (uint32_t k = 0; k < 4; ++k) x.v[k] *= x.v[k];
  return (x.v[0] + x.v[1]) + (x.v[2] + x.v[3]);
}

__device__ __forceinline__ float root_of_mean(const abi::AdalomoNorm& p, const float* totals, float* scratch) {
  float sum = 0.0f;
  for (uint32_t i = threadIdx.x; i < p.totals; i += kThreads) sum += totals[i];
  const float all = block_sum(sum, scratch);
  __syncthreads();  // all have read the scratch
  return sqrtf(all / float(p.true_rows));
}

template <typename G, typename W>
__global__ void __launch_bounds__(kThreads)
    adalomo_norm_kernel(abi::AdalomoNorm p, const G* __restrict__ gradient,
                        const abi::UpdateScalars* __restrict__ update, const W* __restrict__ w, Factors factors,
                        float* __restrict__ partials) {
  DYN_SHARED(float, scratch);
  const float root = factors.rows ? root_of_mean(p, factors.totals, scratch) : 1.0f;
  const float coefficient = words_of_segment(update, p.update_row).coefficient;
  const uint32_t first = blockIdx.x * kQuads, end = min(first + kQuads, p.rows * p.columns / 4);
  float direction = 0.0f, weight = 0.0f;
#pragma unroll 4
  for (uint32_t i = first + threadIdx.x; i < end; i += kThreads) {
    const size_t at = 4 * (size_t{p.first} + i);
    const uint32_t row = 4 * i / p.columns, column = 4 * i - row * p.columns;
    const Four g = load_four(gradient + at), by = load_four(factors.columns + column);
    const float by_row = factors.rows ? factors.rows[row] * root : 1.0f;
    Four u;
    for (uint32_t k = 0; k < 4; ++k) u.v[k] = ((coefficient * g.v[k]) * by_row) * by.v[k];
    direction += sum_of_squares(u);
    weight += sum_of_squares(load_four(w + at));
  }
  const float directions = block_sum(direction, scratch), weights = block_sum(weight, scratch + 32);
  if (threadIdx.x != 0) return;
  partials[blockIdx.x] = directions;
  partials[gridDim.x + blockIdx.x] = weights;
}

}  // namespace

bool adalomo_norm(const Call& call, Stream stream) {
  const auto& p = call.as<abi::AdalomoNorm>();
  bool known = false;
  with_float(call.dtype(0), [&](auto g) {
    known = with_float(call.dtype(2), [&](auto w) {
      using G = decltype(g);
      using W = decltype(w);
      launch(adalomo_norm_kernel<G, W>, dim3((p.rows * p.columns - 1) / abi::kAdalomoNormBlock + 1), dim3(kThreads),
             64 * sizeof(float), stream, p, call.data<G>(0), call.data<abi::UpdateScalars>(1), call.data<W>(2),
             Factors{call.data<float>(3), call.data<float>(4), call.data<float>(5)}, call.data<float>(6));
    });
  });
  return known;
}

}  // namespace tandem::kernels
