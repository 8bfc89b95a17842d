// add: see core/abi/add.h. A thread a pack of 8 elements.
// Reads a, b, writes y (count): 6 bytes per element in bf16, at 90% of 4.3 TB/s 1.6 ns per 1000 elements. No sums but
// y's.
#include "core/abi/add.h"

#include "kernels/device.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 256;

template <typename T>
__global__ void __launch_bounds__(kThreads) add_kernel(const T* a, const T* b, T* y, uint32_t count) {
  const uint32_t first = (blockIdx.x * kThreads + threadIdx.x) * 8;
  if (first < count) store8(y + first, add(load8(a + first), load8(b + first)));
}

}  // namespace

bool add(const Call& call, Stream stream) {
  const uint32_t count = call.as<abi::Add>().count;
  return with_float(call.dtype(0), [&](auto t) {
    using T = decltype(t);
    const dim3 blocks(ceil_div(count / 8, kThreads));
    launch(add_kernel<T>, blocks, dim3(kThreads), 0, stream, call.data<T>(0), call.data<T>(1), call.data<T>(2), count);
  });
}

}  // namespace tandem::kernels
