// apollo_limit: see core/abi/apollo_limit.h, the order of its sums too. One block of 64 threads. Reads partials and
// sums (2, channels): for a 7B's widest some 150 KB, the time of a launch.
#include "core/abi/apollo_limit.h"

#include "core/abi/adamw_corrections.h"
#include "kernels/tree.cuh"

namespace tandem::kernels {
namespace {

// scratch: 2 floats of its own
__device__ __forceinline__ float root_of_sum(const float* __restrict__ x, uint32_t count, float* scratch) {
  float sum = 0.0f;
  for (uint32_t i = threadIdx.x; i < count; i += kTreeThreads) sum += x[i];
  return sqrtf(tree_sum(sum, scratch));
}

__global__ void __launch_bounds__(kTreeThreads)
    apollo_limit_kernel(abi::ApolloLimit p, const float* __restrict__ partials, const float* __restrict__ sums,
                        const abi::UpdateScalars* __restrict__ update, float* factor, float* norm) {
  DYN_SHARED(float, scratch);
  float own = root_of_sum(partials, p.partials, scratch), f = 1.0f;
  if (sums) {
    const float n = root_of_sum(sums, p.channels, scratch + 2);
    f = n / (root_of_sum(sums + p.channels, p.channels, scratch + 4) + 1e-8f);
  }
  if (threadIdx.x != 0) return;
  own = f * (update->coefficient * own);
  const float last = norm[p.at], most = 1.01f * last;
  const bool limited = last > 0.0f && own > most;
  factor[0] = update->skipped ? 0.0f : (f * update->coefficient) * (limited ? most / own : 1.0f);
  if (!update->skipped) norm[p.at] = limited ? most : own;
}

}  // namespace

bool apollo_limit(const Call& call, Stream stream) {
  launch(apollo_limit_kernel, dim3(1), dim3(kTreeThreads), 6 * sizeof(float), stream, call.as<abi::ApolloLimit>(),
         call.data<float>(0), call.data<float>(1), call.data<abi::UpdateScalars>(2), call.data<float>(3),
         call.data<float>(4));
  return true;
}

}  // namespace tandem::kernels
