// rope: see core/abi/rope.h. A thread takes the same columns of 4 heads of a row, a half's and the other's, so that it
// reads their angles once.
// Reads positions (rows), table (positions, head_dim / 2, 2), updates the q and k heads of x: 4 bytes per element of
// these in bf16, at 90% of 4.3 TB/s 1.0 ns per 1000 elements. No sums.
#include "core/abi/rope.h"

#include "kernels/device.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 256, kHeads = 4;

// columns at a time, when half a head is no multiple of 8
struct Quad {
  float v[4];
};

__device__ __forceinline__ void load(Pack& x, const float* p) {
  x = load8(p);
}
__device__ __forceinline__ void load(Pack& x, const bf16* p) {
  x = load8(p);
}
__device__ __forceinline__ void load(Quad& x, const float* p) {
  const float4 u = *reinterpret_cast<const float4*>(p);
  x = {{u.x, u.y, u.z, u.w}};
}
__device__ __forceinline__ void load(Quad& x, const bf16* p) {
  const uint2 u = *reinterpret_cast<const uint2*>(p);
  unpack_bf16(u.x, x.v[0], x.v[1]);
  unpack_bf16(u.y, x.v[2], x.v[3]);
}
template <typename T>
__device__ __forceinline__ void store(T* p, const Pack& x) {
  store8(p, x);
}
__device__ __forceinline__ void store(float* p, const Quad& x) {
  *reinterpret_cast<float4*>(p) = make_float4(x.v[0], x.v[1], x.v[2], x.v[3]);
}
__device__ __forceinline__ void store(bf16* p, const Quad& x) {
  *reinterpret_cast<uint2*>(p) = make_uint2(pack_bf16(x.v[0], x.v[1]), pack_bf16(x.v[2], x.v[3]));
}

// Columns: Pack or Quad, whose width divides half a head
template <typename T, typename Columns>
__global__ void __launch_bounds__(kThreads)
    rope_kernel(abi::Rope p, const int32_t* __restrict__ positions, const float* __restrict__ table, T* x) {
  constexpr uint32_t kWidth = sizeof(Columns) / sizeof(float);
  const uint32_t half = p.head_dim / 2, rotated = p.q_heads + p.kv_heads;
  const uint32_t parts = half / kWidth, groups = (rotated + kHeads - 1) / kHeads;
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x, row = i / parts / groups;
  if (row >= p.rows) return;
  const uint32_t column = i % parts * kWidth, first_head = i / parts % groups;

  Columns angles[2], a[kHeads], b[kHeads];  // angles: cos and sin by turns
  const float* at = table + (size_t(positions[row]) * half + column) * 2;
  load(angles[0], at);
  load(angles[1], at + kWidth);
  T* const heads = x + size_t(row) * (rotated + p.kv_heads) * p.head_dim + column;
#pragma unroll
  for (uint32_t k = 0; k < kHeads; ++k) {
    const uint32_t head = first_head + k * groups;
    if (head >= rotated) continue;
    load(a[k], heads + head * p.head_dim);
    load(b[k], heads + head * p.head_dim + half);
  }
#pragma unroll
  for (uint32_t k = 0; k < kHeads; ++k) {
    const uint32_t head = first_head + k * groups;
    if (head >= rotated) continue;
    for (uint32_t c = 0; c < kWidth; ++c) {
      const Columns& pairs = angles[c / (kWidth / 2)];
      const float cosine = pairs.v[2 * c % kWidth], sine = pairs.v[2 * c % kWidth + 1];
      const float signed_sine = p.inverse ? -sine : sine, first = a[k].v[c], second = b[k].v[c];
      a[k].v[c] = fmaf(first, cosine, -(second * signed_sine));
      b[k].v[c] = fmaf(second, cosine, first * signed_sine);
    }
    store(heads + head * p.head_dim, a[k]);
    store(heads + head * p.head_dim + half, b[k]);
  }
}

template <typename T, typename Columns>
void rotate(const Call& call, Stream stream) {
  const auto& p = call.as<abi::Rope>();
  const uint32_t parts = p.head_dim / 2 / (sizeof(Columns) / sizeof(float));
  const uint32_t threads = p.rows * parts * ceil_div(p.q_heads + p.kv_heads, kHeads);
  launch(rope_kernel<T, Columns>, dim3(ceil_div(threads, kThreads)), dim3(kThreads), 0, stream, p,
         call.data<int32_t>(0), call.data<float>(1), call.data<T>(2));
}

}  // namespace

bool rope(const Call& call, Stream stream) {
  return with_float(call.dtype(2), [&](auto t) {
    using T = decltype(t);
    const bool packs = call.as<abi::Rope>().head_dim % 16 == 0;
    packs ? rotate<T, Pack>(call, stream) : rotate<T, Quad>(call, stream);
  });
}

}  // namespace tandem::kernels
