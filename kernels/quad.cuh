// Four elements at a time, for tensors that begin at a multiple of four in a parameter that stacks several, which is no
// 16 bytes; bf16 takes 8 bytes an access.
#pragma once

#include "core/abi/adamw_corrections.h"
#include "core/abi/segments.h"
#include "kernels/stochastic.cuh"

namespace tandem::kernels {

__device__ __forceinline__ Four load_four(const float* p) {
  const float4 u = *reinterpret_cast<const float4*>(p);
  return {{u.x, u.y, u.z, u.w}};
}
__device__ __forceinline__ Four load_four(const bf16* p) {
  const uint64_t codes = *reinterpret_cast<const uint64_t*>(p);
  Four x;
  unpack_bf16(uint32_t(codes), x.v[0], x.v[1]);
  unpack_bf16(uint32_t(codes >> 32), x.v[2], x.v[3]);
  return x;
}

__device__ __forceinline__ void store_four(float* p, const Four& x) {
  *reinterpret_cast<float4*>(p) = make_float4(x.v[0], x.v[1], x.v[2], x.v[3]);
}
// rounds to nearest
__device__ __forceinline__ void store_four(bf16* p, const Four& x) {
  *reinterpret_cast<uint64_t*>(p) = pack_bf16(x.v[0], x.v[1]) | uint64_t(pack_bf16(x.v[2], x.v[3])) << 32;
}

__device__ __forceinline__ void store_stochastic(float* p, const Four& x, const abi::PhiloxWords&) {
  store_four(p, x);
}
__device__ __forceinline__ void store_stochastic(bf16* p, const Four& x, const abi::PhiloxWords& words) {
  Four cut;
  for (uint32_t k = 0; k < 4; ++k) cut.v[k] = stochastic<bf16>(x.v[k], words.word[k]);
  *reinterpret_cast<uint64_t*>(p) = upper_halves(cut.v[0], cut.v[1]) | uint64_t(upper_halves(cut.v[2], cut.v[3])) << 32;
}

// A parameter that is updated, and its gradient.
template <typename G, typename P>
struct Updated {
  const G* gradient;
  P* parameter;
  float* master;  // null without
};

// f with a value of the gradient's type and one of the parameter's: an f32 parameter has an f32 gradient, a bf16 one
// either. False for others.
template <typename F>
bool with_updated(DType gradient, DType parameter, const F& f) {
  if (parameter == DType::f32) return gradient == DType::f32 && (f(float{}, float{}), true);
  return parameter == DType::bf16 && with_float(gradient, [&](auto g) { f(g, bf16{}); });
}

// Four elements of a parameter that is updated: its master's, where there is one.
template <typename T>
__device__ __forceinline__ Four load_updated(const T* parameter, const float* master, uint32_t at) {
  return master ? load_four(master + at) : load_four(parameter + at);
}
// Rounds the parameter to nearest where the master keeps w, else by the words of the block.
template <typename T>
__device__ __forceinline__ void store_updated(T* parameter, float* master, uint32_t at, const Four& w,
                                              const abi::UpdateScalars& u, const abi::StoredBlock& stored) {
  if (master) {
    store_four(master + at, w);
    store_four(parameter + at, w);
  } else {
    store_stochastic(parameter + at, w, abi::philox(u.seed_low, u.seed_high, stored.block, stored.tensor, u.step, 0));
  }
}

}  // namespace tandem::kernels
