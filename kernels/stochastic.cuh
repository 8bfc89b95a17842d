// Stochastic rounding, four elements at a time: a Philox block has four words, and fewer registers are in use than with
// a Pack.
#pragma once

#include "kernels/device.cuh"

namespace tandem::kernels {

// x, of which a store to T keeps the upper half: bf16_from_f32_stochastic of a result of arithmetic, whose NaNs are
// quiet. T = float: x.
template <typename T>
__device__ __forceinline__ float stochastic(float x, uint32_t random) {
  if constexpr (sizeof(T) == sizeof(float)) return x;
  const bool finite = fabsf(x) < abi::bits_float(0x7f800000u);
  return abi::bits_float(abi::float_bits(x) + (finite ? random & 0xffffu : 0u));
}

struct Four {
  float v[4];
};

// cuts off the lower halves where x is bf16
__device__ __forceinline__ void put_four(Raw<float>& x, uint32_t half, const Four& y) {
  (half == 0 ? x.low : x.high) = make_float4(y.v[0], y.v[1], y.v[2], y.v[3]);
}
__device__ __forceinline__ uint32_t upper_halves(float low, float high) {
  return __byte_perm(abi::float_bits(low), abi::float_bits(high), 0x7632);
}
__device__ __forceinline__ void put_four(Raw<bf16>& x, uint32_t half, const Four& y) {
  (half == 0 ? x.words.x : x.words.z) = upper_halves(y.v[0], y.v[1]);
  (half == 0 ? x.words.y : x.words.w) = upper_halves(y.v[2], y.v[3]);
}

}  // namespace tandem::kernels
