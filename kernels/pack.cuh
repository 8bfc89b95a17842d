// Eight elements at a time, 16-byte accesses, and sums over a warp or a block in a fixed order.
#pragma once

namespace tandem::kernels {

// storage only: arithmetic is f32
struct bf16 {
  uint16_t code;
};

constexpr uint32_t kFullWarp = 0xffffffffu;

__device__ __forceinline__ float to_float(float x) {
  return x;
}
__device__ __forceinline__ float to_float(bf16 x) {
  return abi::f32_from_bf16(x.code);
}

template <typename T>
__device__ __forceinline__ T from_float(float x);
template <>
__device__ __forceinline__ float from_float<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ bf16 from_float<bf16>(float x) {
  return {uint16_t(abi::bf16_from_f32(x))};
}

struct Pack {
  float v[8];
};

__device__ __forceinline__ void unpack_bf16(uint32_t word, float& low, float& high) {
  low = abi::bits_float(word << 16);
  high = abi::bits_float(word & 0xffff0000u);
}

// p: 16-byte aligned
__device__ __forceinline__ Pack load8(const float* p) {
  const float4 a = reinterpret_cast<const float4*>(p)[0], b = reinterpret_cast<const float4*>(p)[1];
  return {{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
}
__device__ __forceinline__ Pack load8(const bf16* p) {
  const uint4 u = *reinterpret_cast<const uint4*>(p);
  Pack r;
  unpack_bf16(u.x, r.v[0], r.v[1]);
  unpack_bf16(u.y, r.v[2], r.v[3]);
  unpack_bf16(u.z, r.v[4], r.v[5]);
  unpack_bf16(u.w, r.v[6], r.v[7]);
  return r;
}

// rounds to T
__device__ __forceinline__ void store8(float* p, const Pack& x) {
  reinterpret_cast<float4*>(p)[0] = make_float4(x.v[0], x.v[1], x.v[2], x.v[3]);
  reinterpret_cast<float4*>(p)[1] = make_float4(x.v[4], x.v[5], x.v[6], x.v[7]);
}
__device__ __forceinline__ void store8(bf16* p, const Pack& x) {
  *reinterpret_cast<uint4*>(p) = make_uint4(pack_bf16(x.v[0], x.v[1]), pack_bf16(x.v[2], x.v[3]),
                                            pack_bf16(x.v[4], x.v[5]), pack_bf16(x.v[6], x.v[7]));
}

// x as a store to T and a load back would leave it
template <typename T>
__device__ __forceinline__ Pack rounded(const Pack& x);
template <>
__device__ __forceinline__ Pack rounded<float>(const Pack& x) {
  return x;
}
template <>
__device__ __forceinline__ Pack rounded<bf16>(const Pack& x) {
  Pack r;
  for (int i = 0; i < 8; i += 2) unpack_bf16(pack_bf16(x.v[i], x.v[i + 1]), r.v[i], r.v[i + 1]);
  return r;
}

// ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7))
__device__ __forceinline__ float sum_of(const Pack& x) {
  return ((x.v[0] + x.v[1]) + (x.v[2] + x.v[3])) + ((x.v[4] + x.v[5]) + (x.v[6] + x.v[7]));
}

// over the warp, a butterfly from distance 16 to 1; every lane has the sum
__device__ __forceinline__ float warp_sum(float x) {
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(kFullWarp, x, step);
  return x;
}
__device__ __forceinline__ float warp_max(float x) {
  for (int step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(kFullWarp, x, step));
  return x;
}

// over the block: each warp, then the warps in order; every thread has the sum. scratch: 32 floats of shared memory,
// free again after the next __syncthreads
__device__ __forceinline__ float block_sum(float x, float* scratch) {
  x = warp_sum(x);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0.0f;
  for (uint32_t w = 0; w < blockDim.x / 32; ++w) sum += scratch[w];
  return sum;
}

// bits(|x|), as amax counts it: NaN is the largest
__device__ __forceinline__ uint32_t magnitude(float x) {
  return abi::float_bits(x) & 0x7fffffffu;
}
__device__ __forceinline__ uint32_t magnitude(const Pack& x) {
  uint32_t largest = 0;
  for (int i = 0; i < 8; ++i) largest = max(largest, magnitude(x.v[i]));
  return largest;
}

// amax[0] = max(amax[0], largest over the warp); every lane of the warp calls it
__device__ __forceinline__ void raise_amax(uint32_t* amax, uint32_t largest) {
  for (int step = 16; step > 0; step /= 2) largest = max(largest, __shfl_xor_sync(kFullWarp, largest, step));
  if (threadIdx.x % 32 == 0 && largest != 0) atomicMax(amax, largest);
}

// f(float{}) or f(bf16{}) by dtype; false for another
template <typename F>
bool with_float(DType dtype, const F& f) {
  if (dtype == DType::f32) return f(float{}), true;
  if (dtype == DType::bf16) return f(bf16{}), true;
  return false;
}

constexpr uint32_t ceil_div(uint32_t a, uint32_t b) {
  return (a + b - 1) / b;
}

}  // namespace tandem::kernels
