// What the kernels that reduce the heads of stacked q | k | v rows share. A head of packs <= lanes = 8, 16 or 32 packs
// has as many lanes of a warp, a pack each; these lanes have 2 heads, so that loads overlap. Blocks cover consecutive
// heads. A sum over a head: each pack by sum_of, then the lanes by warp_sum.
#pragma once

#include <type_traits>

#include "kernels/device.cuh"

namespace tandem::kernels {

constexpr uint32_t kHeadThreads = 256, kHeadsPerLanes = 2;

// f(std::integral_constant<uint32_t, lanes>{}) for a head's lanes; head_dim is at most 256
template <typename F>
void with_head_lanes(uint32_t head_dim, const F& f) {
  if (head_dim <= 64) return f(std::integral_constant<uint32_t, 8>{});
  if (head_dim <= 128) return f(std::integral_constant<uint32_t, 16>{});
  f(std::integral_constant<uint32_t, 32>{});
}

template <uint32_t lanes>
constexpr uint32_t kHeadsPerBlock = kHeadThreads / lanes* kHeadsPerLanes;

// where a thread's pack of its k-th head stands
struct HeadPack {
  bool exists, normed, query;
  uint32_t row, head;
  size_t at;  // in a (rows, heads, head_dim) operand
};

// P: abi::HeadRmsNorm or its backward's
template <uint32_t lanes, typename P>
__device__ __forceinline__ HeadPack head_pack(const P& p, uint32_t k) {
  const uint32_t heads = p.q_heads + 2 * p.kv_heads, lane = threadIdx.x % lanes;
  const uint32_t h = blockIdx.x * kHeadsPerBlock<lanes> + k * (kHeadThreads / lanes) + threadIdx.x / lanes;
  HeadPack pack;
  pack.row = h / heads;
  pack.head = h % heads;
  pack.exists = pack.row < p.rows && lane < p.head_dim / 8;
  pack.normed = pack.head < p.q_heads + p.kv_heads;
  pack.query = pack.head < p.q_heads;
  pack.at = size_t(h) * p.head_dim + lane * 8;
  return pack;
}

}  // namespace tandem::kernels
