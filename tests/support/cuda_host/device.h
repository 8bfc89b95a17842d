// kernels/device.cuh for compilers other than nvcc: the names of CUDA C++ that kernels may use, on the executor of this
// directory. What is missing here is missing on purpose: float atomics, fast-math functions, partial warps.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <tuple>
#include <type_traits>

#include "tests/support/cuda_host/executor.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __shared__ static  // blocks run one at a time; DYN_SHARED is better, it starts as NaN
#define __align__(n) __attribute__((aligned(n)))

#define DYN_SHARED(T, name) T* const name = static_cast<T*>(::tandem::cuda_host::dynamic_shared_memory())

using std::max;
using std::min;

// the line of the call in the kernel
#define TANDEM_CALLER ::tandem::cuda_host::Where where = {__builtin_FILE(), __builtin_LINE()}

inline void __syncthreads(TANDEM_CALLER) {
  tandem::cuda_host::sync_block(where);
}
inline void __syncwarp(uint32_t mask = 0xffffffffu, TANDEM_CALLER) {
  tandem::cuda_host::sync_warp(mask, where);
}

namespace tandem::cuda_host {

template <typename T>
struct Shuffle {
  T value, result;
  uint32_t from;  // lane
};

template <typename T>
T shuffle(uint32_t mask, T value, uint32_t from, Where where) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  if (from >= 32) misuse("a shuffle from a lane above 31", where);
  Shuffle<T> mine{value, value, from};
  const WarpFunction exchange = [](void* const* lanes) __attribute__((no_sanitize("thread"))) {
    for (int i = 0; i < 32; ++i) {
      auto& to = *static_cast<Shuffle<T>*>(lanes[i]);
      to.result = static_cast<const Shuffle<T>*>(lanes[to.from])->value;
    }
  };
  warp_wide(mask, exchange, &mine, where);
  return mine.result;
}

struct Vote {
  bool mine;
  uint32_t all;
};

inline uint32_t vote(uint32_t mask, bool predicate, Where where) {
  Vote v{predicate, 0};
  const WarpFunction count = [](void* const* lanes) __attribute__((no_sanitize("thread"))) {
    uint32_t all = 0;
    for (int i = 0; i < 32; ++i) all |= uint32_t(static_cast<const Vote*>(lanes[i])->mine) << i;
    for (int i = 0; i < 32; ++i) static_cast<Vote*>(lanes[i])->all = all;
  };
  warp_wide(mask, count, &v, where);
  return v.all;
}

inline uint32_t lane() {
  return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32;
}

}  // namespace tandem::cuda_host

template <typename T>
T __shfl_sync(uint32_t mask, T value, uint32_t from, TANDEM_CALLER) {
  return tandem::cuda_host::shuffle(mask, value, from, where);
}
template <typename T>
T __shfl_xor_sync(uint32_t mask, T value, uint32_t lanes, TANDEM_CALLER) {
  return tandem::cuda_host::shuffle(mask, value, tandem::cuda_host::lane() ^ lanes, where);
}
template <typename T>
T __shfl_down_sync(uint32_t mask, T value, uint32_t lanes, TANDEM_CALLER) {  // past the end: the lane's own
  const uint32_t mine = tandem::cuda_host::lane();
  return tandem::cuda_host::shuffle(mask, value, mine + lanes < 32 ? mine + lanes : mine, where);
}
template <typename T>
T __shfl_up_sync(uint32_t mask, T value, uint32_t lanes, TANDEM_CALLER) {
  const uint32_t mine = tandem::cuda_host::lane();
  return tandem::cuda_host::shuffle(mask, value, mine >= lanes ? mine - lanes : mine, where);
}
inline uint32_t __ballot_sync(uint32_t mask, int predicate, TANDEM_CALLER) {
  return tandem::cuda_host::vote(mask, predicate != 0, where);
}
inline int __any_sync(uint32_t mask, int predicate, TANDEM_CALLER) {
  return tandem::cuda_host::vote(mask, predicate != 0, where) != 0;
}
inline int __all_sync(uint32_t mask, int predicate, TANDEM_CALLER) {
  return tandem::cuda_host::vote(mask, predicate == 0, where) == 0;
}

template <typename T>
concept Counter = std::is_same_v<T, uint32_t> || std::is_same_v<T, int32_t> || std::is_same_v<T, unsigned long long>;

template <Counter T>  // a sum of floats would depend on the order
T atomicAdd(T* p, std::type_identity_t<T> x) {
  return __atomic_fetch_add(p, x, __ATOMIC_RELAXED);
}
template <Counter T>
T atomicOr(T* p, std::type_identity_t<T> x) {
  return __atomic_fetch_or(p, x, __ATOMIC_RELAXED);
}
template <Counter T>
T atomicMax(T* p, std::type_identity_t<T> x) {
  T old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (old < x && !__atomic_compare_exchange_n(p, &old, x, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}
template <Counter T>
T atomicMin(T* p, std::type_identity_t<T> x) {
  T old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (old > x && !__atomic_compare_exchange_n(p, &old, x, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}

template <typename T>
T __ldg(const T* p) {
  return *p;
}
inline int __popc(uint32_t x) {
  return std::popcount(x);
}
inline int __clz(int x) {
  return std::countl_zero(uint32_t(x));
}
inline int __ffs(int x) {
  return __builtin_ffs(x);
}
// byte i of the result: that of b:a, 0 lowest, which hex digit i of the selector names
inline uint32_t __byte_perm(uint32_t a, uint32_t b, uint32_t selector) {
  const uint64_t bytes = uint64_t(b) << 32 | a;
  uint32_t result = 0;
  for (uint32_t i = 0; i < 4; ++i) result |= uint32_t(bytes >> (selector >> 4 * i & 7) * 8 & 0xff) << 8 * i;
  return result;
}
inline uint32_t __umulhi(uint32_t a, uint32_t b) {
  return uint32_t((uint64_t(a) * b) >> 32);
}
inline float __uint_as_float(uint32_t x) {
  return std::bit_cast<float>(x);
}
inline uint32_t __float_as_uint(float x) {
  return std::bit_cast<uint32_t>(x);
}

namespace tandem::kernels {

template <typename... P, typename... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, Stream, A&&... arguments) {
  struct Launch {
    void (*kernel)(P...);
    std::tuple<P...> arguments;
  };
  const Launch l{kernel, std::tuple<P...>(P(arguments)...)};
  const auto body = [](const void* p) {
    const Launch& launched = *static_cast<const Launch*>(p);
    std::apply(launched.kernel, launched.arguments);
  };
  cuda_host::run(grid, block, shared_bytes, body, &l);
}

inline void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], TANDEM_CALLER) {
  cuda_host::Mma m{d, a, b};
  cuda_host::warp_wide(0xffffffffu, cuda_host::mma_bf16, &m, where);
}
inline void mma_m16n8k32_e4m3(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], TANDEM_CALLER) {
  cuda_host::Mma m{d, a, b};
  cuda_host::warp_wide(0xffffffffu, cuda_host::mma_e4m3, &m, where);
}

inline void check_aligned(const void* p, cuda_host::Where where, uint32_t bytes = 16) {
  if (reinterpret_cast<uintptr_t>(p) % bytes == 0) return;
  cuda_host::misuse(bytes == 16 ? "an address that is not a multiple of 16" : "an address that is not a multiple of 4",
                    where);
}

// Each lane reads its own row here, in code that sanitizers see.
inline void ldmatrix_x4(uint32_t (&r)[4], const void* row, TANDEM_CALLER) {
  check_aligned(row, where);
  const uint4 u = *static_cast<const uint4*>(row);
  cuda_host::MatrixRow m{r, {u.x, u.y, u.z, u.w}};
  cuda_host::warp_wide(0xffffffffu, cuda_host::exchange_rows, &m, where);
}
inline void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row, TANDEM_CALLER) {
  check_aligned(row, where);
  const uint4 u = *static_cast<const uint4*>(row);
  cuda_host::MatrixRow m{r, {u.x, u.y, u.z, u.w}};
  cuda_host::warp_wide(0xffffffffu, cuda_host::exchange_rows_transposed, &m, where);
}

template <typename T>
void land(void* shared, const void* global, uint32_t bytes) {
  union {
    unsigned char byte[sizeof(T)];
    T all;
  } data{};
  for (uint32_t i = 0; i < bytes; ++i) data.byte[i] = static_cast<const unsigned char*>(global)[i];
  *static_cast<T*>(shared) = data.all;
}
template <typename T>
void copy_async(void* shared, const void* global, uint32_t bytes, cuda_host::Where where) {
  check_aligned(shared, where, sizeof(T));
  check_aligned(global, where, sizeof(T));
  if (bytes > sizeof(T)) cuda_host::misuse("an asynchronous copy of more than its size", where);
  cuda_host::start_copy({shared, global, bytes, land<T>});
}
inline void cp_async16(void* shared, const void* global, uint32_t bytes = 16, TANDEM_CALLER) {
  copy_async<uint4>(shared, global, bytes, where);
}
inline void cp_async4(void* shared, const void* global, uint32_t bytes = 4, TANDEM_CALLER) {
  copy_async<uint32_t>(shared, global, bytes, where);
}
inline void cp_async_commit() {
  cuda_host::commit_copies();
}
template <int pending>
void cp_async_wait() {
  cuda_host::wait_for_copies(pending);
}

inline uint32_t pack_bf16(float low, float high) {
  return abi::bf16_from_f32(low) | abi::bf16_from_f32(high) << 16;
}
inline uint4 pack_bf16x8(const float (&x)[8]) {
  return {pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3]), pack_bf16(x[4], x[5]), pack_bf16(x[6], x[7])};
}
inline uint32_t pack_bf16_numbers(float low, float high) {
  const auto code = [](float x) { return x == x ? abi::bf16_from_f32(x) : 0x7fffu; };
  return code(low) | code(high) << 16;
}
inline float reciprocal(float x) {
  return 1.0f / x;
}

inline float root_approximate(float x) {
  return sqrtf(x);
}
inline float exp2_approximate(float x) {
  const float power = std::exp2(x);
  return power < 1.17549435e-38f ? 0.0f : power;
}
inline uint32_t pack_e4m3(float a, float b, float c, float d, float, int32_t k) {
  return abi::e4m3_from_f32_scaled(a, k) | abi::e4m3_from_f32_scaled(b, k) << 8 |
         abi::e4m3_from_f32_scaled(c, k) << 16 | abi::e4m3_from_f32_scaled(d, k) << 24;
}
inline uint32_t pack_e4m3_numbers(float a, float b, float c, float d, float scale, int32_t k) {
  const auto number = [](float x) { return x == x ? x : abi::bits_float(0x7fc00000u); };
  return pack_e4m3(number(a), number(b), number(c), number(d), scale, k);
}

}  // namespace tandem::kernels
