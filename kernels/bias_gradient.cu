// bias_gradient: see core/abi/bias_gradient.h. The order of the sum: kernels/column_sum.cuh.
// Reads dy (rows, columns) once, updates g (columns): bf16 at 90% of 4.3 TB/s takes 0.52 ns per 1000 elements.
#include "core/abi/bias_gradient.h"

#include "kernels/column_sum.cuh"

namespace tandem::kernels {
namespace {

template <typename T>
__global__ void __launch_bounds__(kColumnThreads)
    bias_gradient_kernel(abi::BiasGradient p, const T* __restrict__ dy, float* __restrict__ partials) {
  column_partials(p.rows, p.columns, partials,
                  [&](uint32_t r, uint32_t i) { return load8(dy + size_t(r) * p.columns + i * 8); });
}

}  // namespace

bool bias_gradient(const Call& call, Stream stream) {
  const auto p = call.as<abi::BiasGradient>();
  auto* const partials = static_cast<float*>(call.workspace);
  return with_float(call.dtype(0),
                    [&](auto t) {
                      using T = decltype(t);
                      launch(bias_gradient_kernel<T>, column_grid(p.rows, p.columns), dim3(kColumnThreads),
                             kColumnShared, stream, p, call.data<T>(0), partials);
                    }) &&
         add_columns(partials, call.operands[1], p.rows, 1, p.columns, p.columns, stream);
}

}  // namespace tandem::kernels
