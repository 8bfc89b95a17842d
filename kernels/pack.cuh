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

// eight elements as memory holds them: half the registers of a Pack for bf16
template <typename T>
struct Raw;
template <>
struct Raw<float> {
  float4 low, high;
};
template <>
struct Raw<bf16> {
  uint4 words;
};

// p: 16-byte aligned
__device__ __forceinline__ Raw<float> load_raw(const float* p) {
  return {reinterpret_cast<const float4*>(p)[0], reinterpret_cast<const float4*>(p)[1]};
}
__device__ __forceinline__ Raw<bf16> load_raw(const bf16* p) {
  return {*reinterpret_cast<const uint4*>(p)};
}
__device__ __forceinline__ void store_raw(float* p, const Raw<float>& x) {
  reinterpret_cast<float4*>(p)[0] = x.low;
  reinterpret_cast<float4*>(p)[1] = x.high;
}
__device__ __forceinline__ void store_raw(bf16* p, const Raw<bf16>& x) {
  *reinterpret_cast<uint4*>(p) = x.words;
}

__device__ __forceinline__ Pack unpack(const Raw<float>& x) {
  return {{x.low.x, x.low.y, x.low.z, x.low.w, x.high.x, x.high.y, x.high.z, x.high.w}};
}
__device__ __forceinline__ Pack unpack(const Raw<bf16>& x) {
  Pack r;
  unpack_bf16(x.words.x, r.v[0], r.v[1]);
  unpack_bf16(x.words.y, r.v[2], r.v[3]);
  unpack_bf16(x.words.z, r.v[4], r.v[5]);
  unpack_bf16(x.words.w, r.v[6], r.v[7]);
  return r;
}

// rounds to T
template <typename T>
__device__ __forceinline__ Raw<T> round_to(const Pack& x);
template <>
__device__ __forceinline__ Raw<float> round_to<float>(const Pack& x) {
  return {make_float4(x.v[0], x.v[1], x.v[2], x.v[3]), make_float4(x.v[4], x.v[5], x.v[6], x.v[7])};
}
template <>
__device__ __forceinline__ Raw<bf16> round_to<bf16>(const Pack& x) {
  return {pack_bf16x8(x.v)};
}

// the same, but all NaNs become one: where what follows makes no difference between them
template <typename T>
__device__ __forceinline__ Raw<T> round_numbers_to(const Pack& x) {
  return round_to<T>(x);
}
template <>
__device__ __forceinline__ Raw<bf16> round_numbers_to<bf16>(const Pack& x) {
  return {make_uint4(pack_bf16_numbers(x.v[0], x.v[1]), pack_bf16_numbers(x.v[2], x.v[3]),
                     pack_bf16_numbers(x.v[4], x.v[5]), pack_bf16_numbers(x.v[6], x.v[7]))};
}

template <typename T>
__device__ __forceinline__ Pack load8(const T* p) {
  return unpack(load_raw(p));
}
// rounds to T
template <typename T>
__device__ __forceinline__ void store8(T* p, const Pack& x) {
  store_raw(p, round_to<T>(x));
}
// x as a store to T and a load back would leave it
template <typename T>
__device__ __forceinline__ Pack rounded(const Pack& x) {
  return unpack(round_to<T>(x));
}

__device__ __forceinline__ Pack add(const Pack& a, const Pack& b) {
  Pack r;
  for (int i = 0; i < 8; ++i) r.v[i] = a.v[i] + b.v[i];
  return r;
}
__device__ __forceinline__ Pack multiply(const Pack& a, const Pack& b) {
  Pack r;
  for (int i = 0; i < 8; ++i) r.v[i] = a.v[i] * b.v[i];
  return r;
}
__device__ __forceinline__ Pack scale(const Pack& a, float by) {
  Pack r;
  for (int i = 0; i < 8; ++i) r.v[i] = a.v[i] * by;
  return r;
}

// ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7))
__device__ __forceinline__ float sum_of(const Pack& x) {
  return ((x.v[0] + x.v[1]) + (x.v[2] + x.v[3])) + ((x.v[4] + x.v[5]) + (x.v[6] + x.v[7]));
}

__device__ __forceinline__ float sum_of_squares(const Pack& x) {
  return sum_of(multiply(x, x));
}

// over groups of `lanes` lanes, a power of two: a butterfly, the most distant lanes first; every lane has its group's
// sum
template <uint32_t lanes = 32>
__device__ __forceinline__ float warp_sum(float x) {
  for (uint32_t step = lanes / 2; step > 0; step /= 2) x += __shfl_xor_sync(kFullWarp, x, step);
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

__device__ __forceinline__ uint32_t magnitude(const Raw<float>& x) {
  return magnitude(unpack(x));
}
__device__ __forceinline__ uint32_t magnitude(const Raw<bf16>& x) {
  uint32_t low = 0, high = 0;
  for (uint32_t word : {x.words.x, x.words.y, x.words.z, x.words.w}) {
    low = max(low, word & 0x7fffu);
    high = max(high, word & 0x7fff0000u);
  }
  return max(low << 16, high);
}

__device__ __forceinline__ uint32_t warp_max(uint32_t x) {
  for (int step = 16; step > 0; step /= 2) x = max(x, __shfl_xor_sync(kFullWarp, x, step));
  return x;
}

// amax[0] = max(amax[0], largest over the warp); every lane of the warp calls it
__device__ __forceinline__ void raise_amax(uint32_t* amax, uint32_t largest) {
  largest = warp_max(largest);
  if (threadIdx.x % 32 == 0 && largest != 0) atomicMax(amax, largest);
}
// the same over the block, in one atomic, as those on one address queue up: for blocks that do little each. scratch: 32
// words of shared memory
__device__ __forceinline__ void raise_amax(uint32_t* amax, uint32_t largest, uint32_t* scratch) {
  largest = warp_max(largest);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = largest;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (uint32_t w = 1; w < blockDim.x / 32; ++w) largest = max(largest, scratch[w]);
  if (largest != 0) atomicMax(amax, largest);
}

// f(float{}) or f(bf16{}) by dtype; false for another
template <typename F>
bool with_float(DType dtype, const F& f) {
  if (dtype == DType::f32) return f(float{}), true;
  if (dtype == DType::bf16) return f(bf16{}), true;
  return false;
}

__host__ __device__ constexpr uint32_t ceil_div(uint32_t a, uint32_t b) {
  return (a + b - 1) / b;
}

}  // namespace tandem::kernels
