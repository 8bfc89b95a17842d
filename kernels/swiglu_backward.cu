// swiglu_backward: see core/abi/swiglu_backward.h. A thread takes 4 packs of 8 columns, the block's threads side by
// side. Reads dy (rows, columns), x (rows, 2 columns), writes dx (rows, 2 columns), raises amax once a block. 10 bytes
// an element of dy in bf16: at 90% of 4.3 TB/s 2.6 ns per 1000 elements. No sums.
#include "core/abi/swiglu_backward.h"

#include "kernels/swiglu.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 256, kPacksPerThread = 4;

template <typename T, bool has_amax>
__global__ void __launch_bounds__(kThreads)
    swiglu_backward_kernel(const T* __restrict__ dy, const T* __restrict__ x, T* __restrict__ dx, uint32_t* amax,
                           uint32_t packs, uint32_t packs_a_row) {
  DYN_SHARED(uint32_t, scratch);
  uint32_t largest = 0;
  for (uint32_t u = 0; u < kPacksPerThread; ++u) {
    const uint32_t i = (blockIdx.x * kPacksPerThread + u) * kThreads + threadIdx.x;
    if (i >= packs) break;
    const size_t gate_at = size_t(i / packs_a_row * packs_a_row + i) * 8, up_at = gate_at + size_t(packs_a_row) * 8;
    const Pack d = load8(dy + size_t(i) * 8), gate = load8(x + gate_at), up = load8(x + up_at);
    Pack dgate, dup;
    differentiate_swiglu(d, gate, up, dgate, dup);
    const Raw<T> stored_gate = round_to<T>(dgate), stored_up = round_to<T>(dup);
    store_raw(dx + gate_at, stored_gate);
    store_raw(dx + up_at, stored_up);
    largest = max(largest, max(magnitude(stored_gate), magnitude(stored_up)));
  }
  if (has_amax) raise_amax(amax, largest, scratch);
}

}  // namespace

bool swiglu_backward(const Call& call, Stream stream) {
  const auto& p = call.as<abi::SwigluBackward>();
  return with_float(call.dtype(0), [&](auto t) {
    using T = decltype(t);
    const uint32_t packs_a_row = p.columns / 8, packs = p.rows * packs_a_row;
    const dim3 blocks(ceil_div(packs, kThreads * kPacksPerThread));
    const auto kernel = p.has_amax ? swiglu_backward_kernel<T, true> : swiglu_backward_kernel<T, false>;
    launch(kernel, blocks, dim3(kThreads), kThreads / 32 * sizeof(uint32_t), stream, call.data<T>(0), call.data<T>(1),
           call.data<T>(2), call.data<uint32_t>(3), packs, packs_a_row);
  });
}

}  // namespace tandem::kernels
