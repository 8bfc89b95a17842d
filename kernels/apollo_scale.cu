// apollo_scale: see core/abi/apollo_scale.h, the order of its sums too. A block of 64 threads a row. Reads r (rows,
// rank), reads and writes m and v: 20 bytes per element of r. Per element of the gradient these are 20 rank / columns:
// 1.4 bytes for rank 256 and 3584 columns.
#include "core/abi/apollo_scale.h"

#include "core/abi/adamw_corrections.h"
#include "kernels/tree.cuh"

namespace tandem::kernels {
namespace {

// one element's moments, stored unless the update is skipped, and its projected gradient
struct Element {
  float g, n;
};

__device__ __forceinline__ Element moved(const abi::ApolloScale& p, float g, float* m, float* v, bool skipped) {
  const float first = p.beta1 * *m + p.one_minus_beta1 * g;
  const float second = p.beta2 * *v + (p.one_minus_beta2 * g) * g;
  if (!skipped) {
    *m = first;
    *v = second;
  }
  return {g, first / (sqrtf(second) + p.epsilon)};
}

template <typename T>
__global__ void __launch_bounds__(kTreeThreads)
    apollo_scale_kernel(abi::ApolloScale p, const float* __restrict__ r, const abi::UpdateScalars* __restrict__ update,
                        T* __restrict__ out, float* __restrict__ m, float* __restrict__ v) {
  DYN_SHARED(float, scratch);
  const uint32_t row = blockIdx.x;
  const float by = p.by * update->coefficient;
  const bool skipped = update->skipped;
  float n_sum = 0.0f, g_sum = 0.0f;
  for (uint32_t c = threadIdx.x; c < p.rank; c += kTreeThreads) {
    const uint32_t i = row * p.rank + c, at = p.first_row * p.rank + i;
    const Element x = moved(p, by * r[i], m + at, v + at, skipped);
    if (p.form == abi::kApolloDirection) out[i] = from_float<T>(x.n);
    n_sum += x.n * x.n;
    g_sum += x.g * x.g;
  }
  if (p.form == abi::kApolloDirection) return;
  const float n = tree_sum(n_sum, scratch), g = tree_sum(g_sum, scratch + 2);
  if (threadIdx.x != 0) return;
  const float factor = sqrtf(n) / (sqrtf(g) + 1e-8f);
  out[row] = from_float<T>(p.form == abi::kApolloChannel ? factor : n);
  if (p.form == abi::kApolloTensor) out[p.rows + row] = from_float<T>(g);
}

}  // namespace

bool apollo_scale(const Call& call, Stream stream) {
  const auto& p = call.as<abi::ApolloScale>();
  return with_float(call.dtype(2), [&](auto t) {
    using T = decltype(t);
    launch(apollo_scale_kernel<T>, dim3(p.rows), dim3(kTreeThreads), 4 * sizeof(float), stream, p, call.data<float>(0),
           call.data<abi::UpdateScalars>(1), call.data<T>(2), call.data<float>(3), call.data<float>(4));
  });
}

}  // namespace tandem::kernels
