// head_rms_norm_backward: see core/abi/head_rms_norm_backward.h. A pack a thread; the order of the sum of dy * weight *
// x: kernels/head_norm.cuh. Reads dy and the query and key heads of x (rows, heads, head_dim) once, q_weight, k_weight
// (head_dim), rstd (rows, q_heads
// + kv_heads) f32; writes dx as dy once: bf16 at 90% of 4.3 TB/s takes 1.55 ns per 1000 elements, 1.03 ns of value
// heads.
#include "core/abi/head_rms_norm_backward.h"

#include "kernels/head_norm.cuh"

namespace tandem::kernels {
namespace {

template <typename T, uint32_t lanes>
__global__ void __launch_bounds__(kHeadThreads)
    head_rms_norm_backward_kernel(abi::HeadRmsNormBackward p, const T* __restrict__ dy, const T* __restrict__ x,
                                  const T* __restrict__ q_weight, const T* __restrict__ k_weight,
                                  const float* __restrict__ rstd, T* __restrict__ dx) {
  const uint32_t lane = threadIdx.x % lanes;
  Raw<T> d[kHeadsPerLanes] = {}, v[kHeadsPerLanes] = {}, qw = {}, kw = {};
  float scales[kHeadsPerLanes] = {};
  for (uint32_t k = 0; k < kHeadsPerLanes; ++k) {
    const HeadPack at = head_pack<lanes>(p, k);
    if (at.exists) d[k] = load_raw(dy + at.at);
    if (!at.exists || !at.normed) continue;
    v[k] = load_raw(x + at.at);
    scales[k] = rstd[size_t(at.row) * (p.q_heads + p.kv_heads) + at.head];
  }
  if (lane < p.head_dim / 8) {
    qw = load_raw(q_weight + lane * 8);
    kw = load_raw(k_weight + lane * 8);
  }
  for (uint32_t k = 0; k < kHeadsPerLanes; ++k) {
    const HeadPack at = head_pack<lanes>(p, k);
    const Pack weighted = multiply(unpack(d[k]), unpack(at.query ? qw : kw));
    const float products = warp_sum<lanes>(sum_of(multiply(weighted, unpack(v[k]))));
    const float slope = -(scales[k] * scales[k] * (products / float(p.head_dim)));
    if (!at.exists) continue;
    if (at.normed) d[k] = round_to<T>(scale(add(weighted, scale(unpack(v[k]), slope)), scales[k]));
    store_raw(dx + at.at, d[k]);
  }
}

}  // namespace

bool head_rms_norm_backward(const Call& call, Stream stream) {
  const auto p = call.as<abi::HeadRmsNormBackward>();
  return with_float(call.dtype(0), [&](auto t) {
    using T = decltype(t);
    with_head_lanes(p.head_dim, [&](auto l) {
      constexpr uint32_t lanes = decltype(l)::value;
      const uint32_t heads = p.rows * (p.q_heads + 2 * p.kv_heads);
      launch(head_rms_norm_backward_kernel<T, lanes>, dim3(ceil_div(heads, kHeadsPerBlock<lanes>)), dim3(kHeadThreads),
             0, stream, p, call.data<T>(0), call.data<T>(1), call.data<T>(2), call.data<T>(3), call.data<float>(4),
             call.data<T>(5));
    });
  });
}

}  // namespace tandem::kernels
