// cached_attention: see core/abi/cached_attention.h. A block takes a query head over 256 keys of the cache and leaves
// their largest score, their weights' sum and the weighted values in the workspace, f32; a second kernel joins the
// parts of each head. Reads the cache up to the position once a query head (a group's heads meet in the L2 cache), 4
// FLOPs per element of it. Sums: a score's elements by eight lanes, packs in order, then a butterfly; weights over the
// block by block_sum; values by slices of the keys, each in order, then slice by slice; then parts in order.
#include "core/abi/cached_attention.h"

#include "kernels/device.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 128, kScoreLanes = 8;
constexpr uint32_t kPartKeys = abi::kCachedAttentionPart;

// largest score and sum of weights of each part (q_heads, parts, 2), then its weighted values (q_heads, parts,
// head_dim)
struct Parts {
  float* data;
  uint32_t heads, parts, head_dim;
  __device__ float* stats(uint32_t head, uint32_t part) const { return data + (size_t(head) * parts + part) * 2; }
  __device__ float* values(uint32_t head, uint32_t part) const {
    return data + size_t(heads) * parts * 2 + (size_t(head) * parts + part) * head_dim;
  }
};

__device__ uint32_t keys_of(const abi::CachedAttention& p, const int32_t* position) {
  return min(uint32_t(*position) + 1, p.capacity);
}

// scores of keys 0 ... count - 1 into shared memory
template <typename T>
__device__ void score_keys(const abi::CachedAttention& p, const T* query, const T* keys, uint32_t count,
                           float* scores) {
  const uint32_t lane = threadIdx.x % kScoreLanes;
  for (uint32_t first = 0; first < count; first += kThreads / kScoreLanes) {
    const uint32_t key = first + threadIdx.x / kScoreLanes;
    float sum = 0.0f;
    for (uint32_t d = lane * 8; key < count && d < p.head_dim; d += kScoreLanes * 8)
      sum += sum_of(multiply(load8(query + d), load8(keys + size_t(key) * p.head_dim + d)));
    sum = warp_sum<kScoreLanes>(sum);
    if (lane == 0 && key < count) scores[key] = sum * p.scale;
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    cached_attention_part(abi::CachedAttention p, const T* __restrict__ qkv, const int32_t* __restrict__ position,
                          const T* __restrict__ cache, Parts parts) {
  const uint32_t part = blockIdx.x, head = blockIdx.y, first = part * kPartKeys, all = keys_of(p, position);
  if (first >= all) return;
  const uint32_t count = min(kPartKeys, all - first), kv_head = head / (p.q_heads / p.kv_heads);
  const T* const keys = cache + (size_t(kv_head) * p.capacity + first) * p.head_dim;
  const T* const values = keys + size_t(p.kv_heads) * p.capacity * p.head_dim;
  DYN_SHARED(float, weights);                  // kPartKeys
  float* const scratch = weights + kPartKeys;  // 32 for the sum, 32 for the largest
  float* const slices_out = scratch + 64;      // slices * head_dim, at most 8 a thread

  score_keys(p, qkv + size_t(head) * p.head_dim, keys, count, weights);
  __syncthreads();
  float largest = weights[0];
  for (uint32_t key = threadIdx.x; key < count; key += kThreads) largest = fmaxf(largest, weights[key]);
  largest = warp_max(largest);
  if (threadIdx.x % 32 == 0) scratch[32 + threadIdx.x / 32] = largest;
  __syncthreads();
  for (uint32_t w = 0; w < kThreads / 32; ++w) largest = fmaxf(largest, scratch[32 + w]);
  float sum = 0.0f;
  for (uint32_t key = threadIdx.x; key < count; key += kThreads)
    sum += weights[key] = abi::exp_f32(weights[key] - largest);
  sum = block_sum(sum, scratch);  // its __syncthreads shows the weights to all

  const uint32_t packs = p.head_dim / 8, slices = kThreads / packs, slice = threadIdx.x / packs,
                 d = threadIdx.x % packs * 8;
  if (slice < slices) {
    Pack mixed{};
    for (uint32_t key = slice; key < count; key += slices) {
      const Pack v = load8(values + size_t(key) * p.head_dim + d);
      for (int i = 0; i < 8; ++i) mixed.v[i] = fmaf(weights[key], v.v[i], mixed.v[i]);
    }
    store8(slices_out + slice * p.head_dim + d, mixed);
  }
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < p.head_dim; i += kThreads) {
    float value = 0.0f;
    for (uint32_t s = 0; s < slices; ++s) value += slices_out[s * p.head_dim + i];
    parts.values(head, part)[i] = value;
  }
  if (threadIdx.x == 0) parts.stats(head, part)[0] = largest, parts.stats(head, part)[1] = sum;
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    cached_attention_join(abi::CachedAttention p, const int32_t* __restrict__ position, Parts parts,
                          T* __restrict__ out) {
  const uint32_t head = blockIdx.x, count = (keys_of(p, position) + kPartKeys - 1) / kPartKeys;
  float largest = -1e30f, sum = 0.0f;
  for (uint32_t s = 0; s < count; ++s) largest = fmaxf(largest, parts.stats(head, s)[0]);
  for (uint32_t s = 0; s < count; ++s)
    sum = fmaf(parts.stats(head, s)[1], abi::exp_f32(parts.stats(head, s)[0] - largest), sum);
  for (uint32_t i = threadIdx.x; i < p.head_dim; i += kThreads) {
    float value = 0.0f;
    for (uint32_t s = 0; s < count; ++s)
      value = fmaf(parts.values(head, s)[i], abi::exp_f32(parts.stats(head, s)[0] - largest), value);
    out[size_t(head) * p.head_dim + i] = from_float<T>(value / sum);
  }
}

}  // namespace

bool cached_attention(const Call& call, Stream stream) {
  const auto& p = call.as<abi::CachedAttention>();
  const Parts parts{static_cast<float*>(call.workspace), p.q_heads, ceil_div(p.capacity, kPartKeys), p.head_dim};
  return with_float(call.dtype(0), [&](auto t) {
    using T = decltype(t);
    launch(cached_attention_part<T>, dim3(parts.parts, p.q_heads), dim3(kThreads),
           sizeof(float) * (kPartKeys + 64 + kThreads * 8), stream, p, call.data<T>(0), call.data<int32_t>(1),
           call.data<T>(2), parts);
    launch(cached_attention_join<T>, dim3(p.q_heads), dim3(kThreads), 0, stream, p, call.data<int32_t>(1), parts,
           call.data<T>(3));
  });
}

}  // namespace tandem::kernels
