// adalomo_moments: see core/abi/adalomo_moments.h. A thread a row or a column, a block of rows first. Reads the sums of
// the tiles, 4 bytes per 256 elements of the tensor and 4 per 128, and 12 bytes per row and column beside. A thread
// adds its tiles in order; a total is added in block_sum's order.
#include "core/abi/adalomo_moments.h"

#include "core/abi/adalomo_squares.h"
#include "kernels/update_words.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = abi::kAdalomoBlock;

// Running means of one axis, from sums (tiles, count).
struct Axis {
  const float* sums;
  uint32_t tiles, count;
  float over;  // elements that a sum is the sum of
  float* moments;
  float* factors;
};

// Element i, updated.
__device__ __forceinline__ float moved(const Axis& axis, uint32_t i, const abi::UpdateScalars& u) {
  float sum = 0.0f;
#pragma unroll 8
  for (uint32_t t = 0; t < axis.tiles; ++t) sum += axis.sums[size_t{t} * axis.count + i];
  const float share = abi::adalomo_share(u.updates);
  float moment = axis.moments[i];
  if (!u.skipped) moment = (1.0f - share) * moment + share * (sum / axis.over + 1e-30f);
  axis.moments[i] = moment;
  axis.factors[i] = 1.0f / sqrtf(moment);
  return moment;
}

__global__ void __launch_bounds__(kThreads)
    adalomo_moments_kernel(abi::AdalomoMoments p, const abi::UpdateScalars* __restrict__ update, Axis rows,
                           Axis columns, float* __restrict__ row_totals) {
  DYN_SHARED(float, scratch);
  const abi::UpdateScalars u = words_of_segment(update, p.update_row);
  const uint32_t row_blocks = row_totals == nullptr ? 0 : (p.rows - 1) / kThreads + 1;
  if (blockIdx.x >= row_blocks) {
    const uint32_t i = (blockIdx.x - row_blocks) * kThreads + threadIdx.x;
    if (i < p.columns) moved(columns, i, u);
    return;
  }
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  const float moment = i < p.rows ? moved(rows, i, u) : 0.0f;
  const float total = block_sum(i < p.true_rows ? moment : 0.0f, scratch);
  if (threadIdx.x == 0) row_totals[blockIdx.x] = total;
}

}  // namespace

bool adalomo_moments(const Call& call, Stream stream) {
  const auto& p = call.as<abi::AdalomoMoments>();
  const bool by_row = call.has(2);
  const Axis columns{call.data<float>(0), ceil_div(p.rows, abi::kAdalomoTileRows), p.columns,
                     float(p.true_rows),  call.data<float>(6) + p.first_column,    call.data<float>(3)};
  const Axis rows = by_row ? Axis{call.data<float>(2),
                                  ceil_div(p.columns, abi::kAdalomoTileColumns),
                                  p.rows,
                                  float(p.true_columns),
                                  call.data<float>(7) + p.first_row,
                                  call.data<float>(4)}
                           : Axis{};
  launch(adalomo_moments_kernel, dim3((by_row ? ceil_div(p.rows, kThreads) : 0) + ceil_div(p.columns, kThreads)),
         dim3(kThreads), 32 * sizeof(float), stream, p, call.data<abi::UpdateScalars>(1), rows, columns,
         call.data<float>(5));
  return true;
}

}  // namespace tandem::kernels
