// cache_append: see core/abi/cache_append.h. A thread an element pack of 16 bytes: head_dim is a multiple of 8.
// Reads and writes the key and value heads of one token: 4 kv_heads head_dim elements, no time beside the launch.
#include "core/abi/cache_append.h"

#include "kernels/device.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 128;

template <typename T>
__global__ void __launch_bounds__(kThreads)
    cache_append_kernel(abi::CacheAppend p, const T* __restrict__ qkv, const int32_t* __restrict__ position,
                        T* __restrict__ cache) {
  const uint32_t i = (blockIdx.x * kThreads + threadIdx.x) * 8, at = uint32_t(*position);
  if (i >= 2 * p.kv_heads * p.head_dim || at >= p.capacity) return;
  const uint32_t head = i / p.head_dim, d = i % p.head_dim;  // key heads, then value heads
  store_raw(cache + (size_t(head) * p.capacity + at) * p.head_dim + d,
            load_raw(qkv + size_t(p.q_heads) * p.head_dim + i));
}

}  // namespace

bool cache_append(const Call& call, Stream stream) {
  const auto& p = call.as<abi::CacheAppend>();
  return with_float(call.dtype(0), [&](auto t) {
    using T = decltype(t);
    launch(cache_append_kernel<T>, dim3(ceil_div(2 * p.kv_heads * p.head_dim, kThreads * 8)), dim3(kThreads), 0, stream,
           p, call.data<T>(0), call.data<int32_t>(1), call.data<T>(2));
  });
}

}  // namespace tandem::kernels
