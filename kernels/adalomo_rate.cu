// adalomo_rate: see core/abi/adalomo_rate.h. One block of up to 1024 threads; one writes what the sums say. Reads
// partials (2, any) and row_totals: for a 7B's widest some 270 KB. Sums are verdict.cuh's.
#include "core/abi/adalomo_rate.h"

#include "kernels/update_words.cuh"
#include "kernels/verdict.cuh"

namespace tandem::kernels {
namespace {

__global__ void __launch_bounds__(kMostThreads)
    adalomo_rate_kernel(abi::AdalomoRate p, const float* __restrict__ partials,
                        const abi::UpdateScalars* __restrict__ update, const float* __restrict__ row_totals,
                        float* __restrict__ rates) {
  DYN_SHARED(float, scratch);
  const float u = sum_of_partials(partials, p.partials, scratch);
  const float w = sum_of_partials(partials + p.partials, p.partials, scratch);
  const float rows = sum_of_partials(row_totals, p.totals, scratch);
  if (threadIdx.x != 0) return;
  const float count = float(p.count), root = p.totals == 0 ? 1.0f : sqrtf(rows / float(p.true_rows));
  const float rate = words_of_segment(update, p.update_row).learning_rate * fmaxf(1e-3f, sqrtf(w / count));
  rates[0] = rate;
  rates[1] = rate * root / fmaxf(1.0f, sqrtf(u / count));
}

}  // namespace

bool adalomo_rate(const Call& call, Stream stream) {
  const auto& p = call.as<abi::AdalomoRate>();
  launch(adalomo_rate_kernel, dim3(1), dim3(threads_for(p.partials)), 32 * sizeof(float), stream, p,
         call.data<float>(0), call.data<abi::UpdateScalars>(1), call.data<float>(2), call.data<float>(3));
  return true;
}

}  // namespace tandem::kernels
