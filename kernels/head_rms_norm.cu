// head_rms_norm: see core/abi/head_rms_norm.h. A pack a thread; the order of the sum: kernels/head_norm.cuh.
// Reads x (rows, heads, head_dim) once, q_weight, k_weight (head_dim); writes y as x once, rstd (rows, q_heads +
// kv_heads) f32: bf16 at 90% of 4.3 TB/s takes 1.03 ns per 1000 elements.
#include "core/abi/head_rms_norm.h"

#include "kernels/head_norm.cuh"

namespace tandem::kernels {
namespace {

template <typename T, uint32_t lanes>
__global__ void __launch_bounds__(kHeadThreads)
    head_rms_norm_kernel(abi::HeadRmsNorm p, const T* __restrict__ x, const T* __restrict__ q_weight,
                         const T* __restrict__ k_weight, T* __restrict__ y, float* __restrict__ rstd) {
  const uint32_t lane = threadIdx.x % lanes;
  Raw<T> v[kHeadsPerLanes] = {}, qw = {}, kw = {};
  for (uint32_t k = 0; k < kHeadsPerLanes; ++k) {
    const HeadPack at = head_pack<lanes>(p, k);
    if (at.exists) v[k] = load_raw(x + at.at);
  }
  if (lane < p.head_dim / 8) {
    qw = load_raw(q_weight + lane * 8);
    kw = load_raw(k_weight + lane * 8);
  }
  float scales[kHeadsPerLanes];
  for (uint32_t k = 0; k < kHeadsPerLanes; ++k) {
    const float squares = warp_sum<lanes>(sum_of_squares(unpack(v[k])));
    scales[k] = 1.0f / sqrtf(squares / float(p.head_dim) + p.epsilon);
  }
  for (uint32_t k = 0; k < kHeadsPerLanes; ++k) {
    const HeadPack at = head_pack<lanes>(p, k);
    if (!at.exists) continue;
    if (at.normed) v[k] = round_to<T>(multiply(scale(unpack(v[k]), scales[k]), unpack(at.query ? qw : kw)));
    store_raw(y + at.at, v[k]);
    if (at.normed && lane == 0) rstd[size_t(at.row) * (p.q_heads + p.kv_heads) + at.head] = scales[k];
  }
}

}  // namespace

bool head_rms_norm(const Call& call, Stream stream) {
  const auto p = call.as<abi::HeadRmsNorm>();
  return with_float(call.dtype(0), [&](auto t) {
    using T = decltype(t);
    with_head_lanes(p.head_dim, [&](auto l) {
      constexpr uint32_t lanes = decltype(l)::value;
      const uint32_t heads = p.rows * (p.q_heads + 2 * p.kv_heads);
      launch(head_rms_norm_kernel<T, lanes>, dim3(ceil_div(heads, kHeadsPerBlock<lanes>)), dim3(kHeadThreads), 0,
             stream, p, call.data<T>(0), call.data<T>(1), call.data<T>(2), call.data<T>(3), call.data<float>(4));
    });
  });
}

}  // namespace tandem::kernels
