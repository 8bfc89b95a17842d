#include "tests/cuda_host/defects.h"

#include "core/base/error.h"
#include "kernels/device.cuh"

namespace tandem::test {
namespace {

using kernels::cp_async16;
using kernels::cp_async_commit;
using kernels::cp_async_wait;
using kernels::kFullWarp;
using kernels::launch;

constexpr uint32_t kThreads = 64;

// ---- wrong order: found by TSan, and by other orders of threads where noted ----

template <bool planted>
__global__ void missing_syncthreads(float* y) {  // by orders
  DYN_SHARED(float, s);
  s[threadIdx.x] = float(threadIdx.x);
  if (!planted) __syncthreads();
  y[threadIdx.x] = s[threadIdx.x ^ 33];
}

template <bool planted>
__global__ void missing_syncthreads_before_reuse(float* y) {  // by orders
  DYN_SHARED(float, s);
  float sum = 0.0f;
  for (uint32_t i = 1; i < 5; ++i) {
    s[threadIdx.x] = float(threadIdx.x * i);
    __syncthreads();
    sum += s[kThreads - 1 - threadIdx.x];
    if (!planted) __syncthreads();
  }
  y[threadIdx.x] = sum;
}

template <bool planted>
__global__ void missing_syncwarp(float* y) {  // by orders
  DYN_SHARED(float, s);
  s[threadIdx.x] = float(threadIdx.x);
  if (!planted) __syncwarp();
  y[threadIdx.x] = s[threadIdx.x ^ 31];
}

// every lane has written when the shuffle returns, yet on a GPU the others need not see it
template <bool planted>
__global__ void shuffle_for_syncwarp(float* y) {
  DYN_SHARED(float, s);
  s[threadIdx.x] = float(threadIdx.x);
  const float other = __shfl_xor_sync(kFullWarp, 1.0f, 1);
  if (!planted) __syncwarp();
  y[threadIdx.x] = other + s[threadIdx.x ^ 31];
}

template <bool planted>
__global__ void missing_copy_wait(float* y) {  // by orders
  DYN_SHARED(float, s);
  cp_async16(s + threadIdx.x * 4, y + threadIdx.x * 4);
  cp_async_commit();
  if (!planted) cp_async_wait<0>();
  __syncthreads();
  const float x = s[(threadIdx.x ^ 5) * 4 + 1];
  y[threadIdx.x * 4] = x;
}

// the newest group may be under way, and it is the one that is read
template <bool planted>
__global__ void copy_wait_for_the_wrong_group(float* y) {  // by orders
  DYN_SHARED(float, s);
  for (uint32_t group = 0; group < 2; ++group) {
    cp_async16(s + (group * kThreads + threadIdx.x) * 4, y + threadIdx.x * 4);
    cp_async_commit();
  }
  cp_async_wait<planted ? 1 : 0>();
  __syncthreads();
  y[threadIdx.x * 4] = s[(kThreads + (threadIdx.x ^ 5)) * 4 + 1];
}

template <bool planted>
__global__ void two_writers(float* y) {  // by orders
  if (planted || threadIdx.x == 0) y[0] = float(threadIdx.x);
}

// A block uses what another one wrote: only by orders.
template <bool planted>
__global__ void blocks_in_a_row(float* y) {
  if (threadIdx.x == 0) y[blockIdx.x + 1] = (planted ? y[blockIdx.x] : 2.0f) + 2.0f;
}

// ---- out of bounds or misaligned: found by ASan and UBSan ----

template <bool planted>
__global__ void global_off_by_one(float* y) {
  y[threadIdx.x + 3 * kThreads + planted] = 1.0f;
}

template <bool planted>
__global__ void dynamic_shared_off_by_one(float* y) {
  DYN_SHARED(float, s);
  s[threadIdx.x + planted] = 1.0f;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}

template <bool planted>
__global__ void static_shared_off_by_one(float* y) {
  __shared__ float s[kThreads];
  float* p = s + (threadIdx.x + planted);
  *p = 1.0f;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}

template <bool planted>
__global__ void copy_past_the_end(float* y) {
  DYN_SHARED(float, s);
  if (threadIdx.x == 0) cp_async16(s, y + 4 * kThreads, planted ? 16 : 0);
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();
  y[threadIdx.x] = s[0];
}

template <bool planted>
__global__ void misaligned_vector(float* y) {
  *reinterpret_cast<float2*>(y + threadIdx.x * 2 + planted) = make_float2(1.0f, 2.0f);
}

template <bool planted>
__global__ void register_array_off_by_one(float* y) {
  float x[4] = {};
  const uint32_t count = planted ? blockDim.x / 16 + 1 : 4;
  for (uint32_t i = 0; i < count; ++i) x[i] += y[kThreads + i];
  y[threadIdx.x] = x[threadIdx.x % 4];
}

// ---- misuse of barriers and warps: refused in every build ----

template <bool planted>
__global__ void barriers_on_two_lines(float* y) {
  if (threadIdx.x % 2 == 0 || !planted) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  y[threadIdx.x] = 1.0f;
}

template <bool planted>
__global__ void return_before_barrier(float* y) {
  if (planted && threadIdx.x >= 40) return;
  __syncthreads();
  y[threadIdx.x] = 1.0f;
}

template <bool planted>
__global__ void shuffle_of_half_a_warp(float* y) {
  if (!planted || threadIdx.x % 2 == 1) y[threadIdx.x] = __shfl_xor_sync(kFullWarp, 1.0f, 1);
}

template <bool planted>
__global__ void shuffle_outside_its_mask(float* y) {
  y[threadIdx.x] = __shfl_xor_sync(planted ? 0x55555555u << threadIdx.x % 2 : kFullWarp, 1.0f, 1);
}

template <bool planted>
__global__ void shuffle_from_lane_32(float* y) {
  y[threadIdx.x] = __shfl_sync(kFullWarp, 1.0f, planted ? 32 : 31);
}

template <bool planted>
__global__ void misaligned_matrix_row(float* y) {
  DYN_SHARED(float, s);
  uint32_t r[4];
  kernels::ldmatrix_x4(r, s + (planted ? 1 : 0));
  y[threadIdx.x] = float(r[0] & 1);
}

uint64_t hash(const std::vector<float>& values) {
  uint64_t h = 0xcbf29ce484222325u;
  for (const float v : values) h = (h ^ abi::float_bits(v)) * 0x100000001b3u;
  return h;
}

template <auto kernel, uint32_t shared_floats, uint32_t blocks = 1>
uint64_t run() {
  std::vector<float> y(4 * kThreads);
  for (size_t i = 0; i < y.size(); ++i) y[i] = float(i % 7);
  launch(kernel, dim3(blocks), dim3(kThreads), shared_floats * sizeof(float), nullptr, y.data());
  return hash(y);
}

}  // namespace

const std::vector<Defect>& defects() {
#define DEFECT(kernel, shared_floats)                                                    \
  Defect {                                                                               \
#kernel, run < kernel < true>, shared_floats>, run < kernel < false>, shared_floats> \
  }
  static const std::vector<Defect> all = {
      DEFECT(missing_syncthreads, kThreads),
      DEFECT(missing_syncthreads_before_reuse, kThreads),
      DEFECT(missing_syncwarp, kThreads),
      DEFECT(shuffle_for_syncwarp, kThreads),
      DEFECT(missing_copy_wait, 4 * kThreads),
      DEFECT(copy_wait_for_the_wrong_group, 8 * kThreads),
      DEFECT(two_writers, 0),
      {"blocks_in_a_row", run<blocks_in_a_row<true>, 0, 4>, run<blocks_in_a_row<false>, 0, 4>},
      DEFECT(global_off_by_one, 0),
      DEFECT(dynamic_shared_off_by_one, kThreads),
      DEFECT(static_shared_off_by_one, 0),
      DEFECT(copy_past_the_end, 4),
      DEFECT(misaligned_vector, 0),
      DEFECT(register_array_off_by_one, 0),
      DEFECT(barriers_on_two_lines, 0),
      DEFECT(return_before_barrier, 0),
      DEFECT(shuffle_of_half_a_warp, 0),
      DEFECT(shuffle_outside_its_mask, 0),
      DEFECT(shuffle_from_lane_32, 0),
      DEFECT(misaligned_matrix_row, 8),
  };
#undef DEFECT
  return all;
}

const Defect& defect(const std::string& name) {
  for (const Defect& d : defects())
    if (d.name == name) return d;
  fail(Exit::internal, "tests", "there is no defect {}", name);
}

}  // namespace tandem::test
