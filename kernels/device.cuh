// The header of device code that all kernels include. nvcc reads CUDA below; another compiler reads the twin that runs
// each CUDA thread as a fiber (tests/support/cuda_host). All PTX stands here and, for sm_90a, in hopper.cuh, behind
// names.
// Rules for kernels: launch(), never <<<>>>; DYN_SHARED, not extern __shared__; every thread reaches every
// __syncthreads; full-warp masks; __syncwarp or __syncthreads around every hand-over through memory; integer atomics
// only; fmaf where fusion is wanted (both compilers contract nothing by themselves); no fast-math functions.
#pragma once

#include "core/abi/numeric.h"
#include "kernels/kernel.h"

#ifdef __CUDACC__

#include <cuda_runtime.h>

// T* name: the block's dynamic shared memory, 128-byte aligned
#define DYN_SHARED(T, name)                                               \
  extern __shared__ __align__(128) unsigned char dynamic_shared_memory[]; \
  T* const name = reinterpret_cast<T*>(dynamic_shared_memory)

namespace tandem::kernels {

// shared_bytes of dynamic shared memory
template <typename... P, typename... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, Stream stream, A&&... arguments) {
  constexpr size_t kWithoutAsking = 48 << 10;
  if (shared_bytes > kWithoutAsking &&
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared_bytes)) != cudaSuccess)
    return;  // stays the last error
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  (void)cudaLaunchKernelEx(&config, kernel, P(arguments)...);  // as above
}

__device__ __forceinline__ uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// d (16, 8) += a (16, 16) b (16, 8), bf16 in, f32 sums; fragments as PTX lays them out over a warp
__device__ __forceinline__ void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// d (16, 8) += a (16, 32) b (32, 8), e4m3 in, f32 sums; from sm_89, traps before
__device__ __forceinline__ void mma_m16n8k32_e4m3(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 890
  asm volatile("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  __trap();
#endif
}

// four 8x8 matrices of 16-bit elements from shared memory; lane l gives the address of row l % 8 of matrix l / 8
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3},[%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3},[%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// 16 bytes from global to shared memory, both 16-byte aligned; bytes < 16: the rest becomes zero (0 reads nothing)
__device__ __forceinline__ void cp_async16(void* shared, const void* global, uint32_t bytes = 16) {
  asm volatile("cp.async.cg.shared.global [%0],[%1],16,%2;" ::"r"(shared_address(shared)), "l"(global), "r"(bytes)
               : "memory");
}
// 4 bytes alike, both 4-byte aligned; bytes: 4 or 0
__device__ __forceinline__ void cp_async4(void* shared, const void* global, uint32_t bytes = 4) {
  asm volatile("cp.async.ca.shared.global [%0],[%1],4,%2;" ::"r"(shared_address(shared)), "l"(global), "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void cp_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// until at most `pending` of this thread's groups are under way
template <int pending>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

// two bf16 in a word, low first, rounded; NaNs become one NaN
__device__ __forceinline__ uint32_t pack_bf16_numbers(float low, float high) {
  uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}

// two bf16 in a word, low first, each bf16_from_f32
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
  if (low != low || high != high) return abi::bf16_from_f32(low) | abi::bf16_from_f32(high) << 16;
  return pack_bf16_numbers(low, high);
}

// eight alike, with one test for NaN
__device__ __forceinline__ uint4 pack_bf16x8(const float (&x)[8]) {
  bool any_nan = false;
  for (int i = 0; i < 8; i += 2) any_nan |= x[i] != x[i] || x[i + 1] != x[i + 1];
  if (any_nan)
    return make_uint4(pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3]), pack_bf16(x[4], x[5]), pack_bf16(x[6], x[7]));
  return make_uint4(pack_bf16_numbers(x[0], x[1]), pack_bf16_numbers(x[2], x[3]), pack_bf16_numbers(x[4], x[5]),
                    pack_bf16_numbers(x[6], x[7]));
}

// 2^x as the device approximates it, within 3 ulp of itself; subnormals become zero
__device__ __forceinline__ float exp2_approximate(float x) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
  return power;
}

// 1 / x, correctly rounded, for x from 2^-125 to 2^125 (or NaN): with no branch for arguments that a division has to
// think of. Tried from 1 to 2 on every x; a power of two changes no step.
__device__ __forceinline__ float reciprocal(float x) {
  float r;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return fmaf(fmaf(-x, r, 1.0f), r, r);  // Markstein 1990: r was within an ulp
}

// the root of x >= 0 (or NaN) as the device approximates it, within an ulp or two; that of subnormals is zero
__device__ __forceinline__ float root_approximate(float x) {
  float root;
  asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(root) : "f"(x));
  return root;
}

// four e4m3 codes in a word, first lowest, of x[i] * scale with scale = 2^k, |k| <= 63; NaNs become one NaN
__device__ __forceinline__ uint32_t pack_e4m3_numbers(float a, float b, float c, float d, float scale, int32_t k) {
#if __CUDA_ARCH__ >= 890
  uint16_t low, high;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(low) : "f"(b * scale), "f"(a * scale));
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(high) : "f"(d * scale), "f"(c * scale));
  return uint32_t(low) | uint32_t(high) << 16;
#else
  return abi::e4m3_from_f32_scaled(a, k) | abi::e4m3_from_f32_scaled(b, k) << 8 |
         abi::e4m3_from_f32_scaled(c, k) << 16 | abi::e4m3_from_f32_scaled(d, k) << 24;
#endif
}

// alike, each e4m3_from_f32_scaled(x, k): a NaN keeps its sign
__device__ __forceinline__ uint32_t pack_e4m3(float a, float b, float c, float d, float scale, int32_t k) {
  const uint32_t codes = pack_e4m3_numbers(a, b, c, d, scale, k);
  const uint32_t ab = __byte_perm(abi::float_bits(a), abi::float_bits(b), 0x73);
  const uint32_t cd = __byte_perm(abi::float_bits(c), abi::float_bits(d), 0x73);
  return codes | (__byte_perm(ab, cd, 0x5410) & 0x80808080u);
}

}  // namespace tandem::kernels

#else

#include "tests/support/cuda_host/device.h"

#endif

#include "kernels/pack.cuh"
