// cross_entropy: see core/abi/cross_entropy.h. A block of up to 1024 threads a row. One read finds the largest logit
// and the sum of exp(logit - largest), rescaled whenever a larger one turns up; a second read, from shared memory for
// the row's first 96 KiB and mostly from L2 for the rest, makes the gradient.
// Reads and, for the gradient, writes logits (rows, vocabulary); reads targets, writes loss: 1000 bf16 rows of 151936
// columns are 608 MB with the gradient, 157 us at 90% of 4.3 TB/s.
// Thread t adds packs t, t + threads, ... of 8, the ones in shared memory last, each pack by sum_of; the sums, scaled
// to the row's largest logit, go in block_sum's order.
#include "core/abi/cross_entropy.h"

#include <cfloat>

#include "core/abi/step_scalars.h"
#include "kernels/exp.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kMostThreads = 1024;
constexpr uint32_t kKeptBytes = 96 << 10;  // all that some devices have, less the scratch
constexpr uint32_t kScratch = 64;          // floats: of a maximum and of a sum

// e^(x - top) for x up to top; for bf16 as the device approximates a power of two, which the memory does not wait for
template <typename T>
struct Weight {
  float top;
  __device__ __forceinline__ float operator()(float x) const { return exp_nonpositive(x - top); }
};
template <>
struct Weight<bf16> {
  static constexpr float kLog2E = 1.44269504f;
  float offset;
  __device__ __forceinline__ explicit Weight(float top) : offset(top * kLog2E) {}
  __device__ __forceinline__ float operator()(float x) const { return exp2_approximate(fmaf(x, kLog2E, -offset)); }
};

// one thread's so far
template <typename T>
struct OnlineSum {
  float largest = -0x1p126f, sum = 0.0f;  // finite, in bits of 2 as well: -inf - largest is -inf

  __device__ __forceinline__ void add(Pack v) {
    float top = v.v[0];
    for (int i = 1; i < 8; ++i) top = fmaxf(top, v.v[i]);
    if (top > largest) {
      sum *= Weight<T>{top}(largest);
      largest = top;
    }
    const Weight<T> weight{largest};
    for (int i = 0; i < 8; ++i) v.v[i] = weight(v.v[i]);
    sum += sum_of(v);
  }
};

// columns 8 i ... 8 i + 7 as x, but `outside` for those past the vocabulary
__device__ __forceinline__ void mask(Pack& x, uint32_t i, uint32_t vocabulary, float outside) {
  if (8 * i + 8 <= vocabulary) return;
  for (uint32_t j = 0; j < 8; ++j)
    if (8 * i + j >= vocabulary) x.v[j] = outside;
}

// kept: packs that stand in shared memory after the first read
template <typename T>
__device__ OnlineSum<T> read_row(const T* row, T* keep, uint32_t kept, uint32_t vocabulary) {
  constexpr uint32_t kAhead = 4, kChunks = sizeof(T) / 2;  // loads under way; of 16 bytes, a pack
  const uint32_t packs = (vocabulary + 7) / 8;
  const float outside = abi::bits_float(0xff800000u);
  for (uint32_t i = threadIdx.x; i < kept; i += blockDim.x)
    for (uint32_t j = 0; j < kChunks; ++j) {
      const uint32_t at = i * 8 + j * 8 / kChunks;
      cp_async16(keep + at, row + at);
    }
  cp_async_commit();
  OnlineSum<T> s;
  for (uint32_t first = kept + threadIdx.x; first < packs; first += kAhead * blockDim.x) {
    Raw<T> raw[kAhead];
#pragma unroll
    for (uint32_t j = 0; j < kAhead; ++j) raw[j] = load_raw(row + min(first + j * blockDim.x, packs - 1) * 8);
#pragma unroll
    for (uint32_t j = 0; j < kAhead; ++j) {
      const uint32_t i = first + j * blockDim.x;
      Pack v = unpack(raw[j]);
      mask(v, i, vocabulary, outside);
      if (i < packs) s.add(v);
    }
  }
  cp_async_wait<0>();  // a thread reads what it copied itself
  for (uint32_t i = threadIdx.x; i < kept; i += blockDim.x) {
    Pack v = load8(keep + i * 8);
    mask(v, i, vocabulary, outside);
    s.add(v);
  }
  return s;
}

// over the block; scratch: 32 floats of shared memory
__device__ float block_max(float x, float* scratch) {
  x = warp_max(x);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = x;
  __syncthreads();
  for (uint32_t w = 0; w < blockDim.x / 32; ++w) x = fmaxf(x, scratch[w]);
  return x;
}

// What a block's gradient follows from: softmax * factor, less the target's share, both times 1/N.
struct Gradient {
  uint32_t target, vocabulary;
  float largest, factor, inverse_targets;

  // pack i's
  template <typename T>
  __device__ __forceinline__ void write(T* row, uint32_t i, const Raw<T>& logits) const {
    const Weight<T> weight{largest};
    Pack g = unpack(logits);
    for (int j = 0; j < 8; ++j) g.v[j] = weight(g.v[j]) * factor;
    if (i == target / 8)
      for (uint32_t j = 0; j < 8; ++j) g.v[j] -= 8 * i + j == target ? inverse_targets : 0.0f;
    mask(g, i, vocabulary, 0.0f);
    store_raw(row + i * 8, round_numbers_to<T>(g));
  }
};

template <typename T>
__device__ void write_gradient(T* row, const T* keep, uint32_t kept, uint32_t packs, const Gradient& gradient) {
  constexpr uint32_t kAhead = 4;  // loads under way
  for (uint32_t i = threadIdx.x; i < kept; i += blockDim.x) gradient.write(row, i, load_raw(keep + i * 8));
  for (uint32_t first = kept + threadIdx.x; first < packs; first += kAhead * blockDim.x) {
    Raw<T> raw[kAhead];
#pragma unroll
    for (uint32_t j = 0; j < kAhead; ++j)
      if (const uint32_t i = first + j * blockDim.x; i < packs) raw[j] = load_raw(row + i * 8);
#pragma unroll
    for (uint32_t j = 0; j < kAhead; ++j)
      if (const uint32_t i = first + j * blockDim.x; i < packs) gradient.write(row, i, raw[j]);
  }
}

template <typename T>
__global__ void __launch_bounds__(kMostThreads)
    cross_entropy_kernel(abi::CrossEntropy p, uint32_t kept, const int32_t* __restrict__ targets,
                         const abi::StepScalars* __restrict__ scalars, T* logits, float* __restrict__ loss) {
  DYN_SHARED(float, scratch);
  T* const keep = reinterpret_cast<T*>(scratch + kScratch);
  T* const row = logits + size_t(blockIdx.x) * p.columns;
  const int32_t target = targets[blockIdx.x];
  if (target < 0) {  // the whole block
    if (threadIdx.x == 0) loss[blockIdx.x] = 0.0f;
    for (uint32_t i = threadIdx.x; p.write_gradient && i < p.columns / 8; i += blockDim.x) store8(row + i * 8, Pack{});
    return;
  }
  const float nan = abi::bits_float(0x7fc00000u);
  const bool inside = uint32_t(target) < p.vocabulary;
  const float logit = inside ? to_float(row[target]) : nan;  // before any thread overwrites it
  const OnlineSum<T> mine = read_row(row, keep, kept, p.vocabulary);
  const float largest = block_max(mine.largest, scratch);
  const float sum = block_sum(mine.sum * Weight<T>{largest}(mine.largest), scratch + 32);
  const float log_sum = abi::log_f32(sum);
  if (threadIdx.x == 0) loss[blockIdx.x] = (largest - logit) + log_sum;
  if (!p.write_gradient) return;
  const float inverse_targets = scalars->inverse_targets;
  const float factor = inside ? (1.0f + 2.0f * p.z_loss * (largest + log_sum)) / sum * inverse_targets : nan;
  write_gradient(row, keep, kept, p.columns / 8,
                 Gradient{uint32_t(target), p.vocabulary, largest, factor, inverse_targets});
}

}  // namespace

bool cross_entropy(const Call& call, Stream stream) {
  const auto& p = call.as<abi::CrossEntropy>();
  return with_float(call.dtype(2), [&](auto t) {
    using T = decltype(t);
    constexpr uint32_t kPack = 8 * sizeof(T);
    const uint32_t packs = ceil_div(p.vocabulary, 8), threads = min(kMostThreads, ceil_div(packs, 32) * 32);
    const uint32_t kept = p.write_gradient ? min(packs, uint32_t(kKeptBytes / kPack)) : 0;
    launch(cross_entropy_kernel<T>, dim3(p.rows), dim3(threads), kScratch * sizeof(float) + size_t(kept) * kPack,
           stream, p, kept, call.data<int32_t>(0), call.data<abi::StepScalars>(1), call.data<T>(2),
           call.data<float>(3));
  });
}

}  // namespace tandem::kernels
