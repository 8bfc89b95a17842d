// What the executor promises kernels: warp operations, matrix fragments, copies, shared memory, indices, refusals.
#include "tests/support/cuda_host/executor.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "kernels/device.cuh"

namespace tandem::kernels {
namespace {

struct WarpResults {
  uint32_t shuffle[32], down[32], up[32], across[32], ballot[32];
  int any[32], all[32];
};

__global__ void warp_operations(WarpResults* r) {
  const uint32_t i = threadIdx.x;
  r->shuffle[i] = __shfl_sync(kFullWarp, i * 10, (i + 5) % 32);
  r->down[i] = __shfl_down_sync(kFullWarp, i * 10, 4);
  r->up[i] = __shfl_up_sync(kFullWarp, i * 10, 4);
  r->across[i] = __shfl_xor_sync(kFullWarp, i * 10, 6);
  r->ballot[i] = __ballot_sync(kFullWarp, i % 3 == 0);
  r->any[i] = __any_sync(kFullWarp, i == 7);
  r->all[i] = __all_sync(kFullWarp, i != 7);
}

// c (16, 8) = a (16, 16) b (16, 8), all row by row, through ldmatrix
__global__ void multiply_bf16(const uint16_t* a, const uint16_t* b, float* c) {
  DYN_SHARED(uint16_t, s);
  for (uint32_t i = threadIdx.x; i < 256; i += 32) s[i] = a[i];
  for (uint32_t i = threadIdx.x; i < 128; i += 32) s[256 + i] = b[i];
  __syncwarp();
  uint32_t fa[4], fb[4];
  const uint32_t row = threadIdx.x % 16, column = threadIdx.x / 16 * 8;
  ldmatrix_x4(fa, s + row * 16 + column);
  ldmatrix_x4_trans(fb, s + 256 + row * 8);
  float d[4] = {};
  mma_m16n8k16_bf16(d, fa, {fb[0], fb[1]});
  for (uint32_t i = 0; i < 4; ++i) c[(threadIdx.x / 4 + i / 2 * 8) * 8 + threadIdx.x % 4 * 2 + i % 2] = d[i];
}

// c (16, 8) += a (16, 32) b^T, b (8, 32); two codes are one 16-bit element of ldmatrix
__global__ void multiply_e4m3(const uint8_t* a, const uint8_t* b, float* c) {
  DYN_SHARED(uint8_t, s);
  for (uint32_t i = threadIdx.x; i < 512; i += 32) s[i] = a[i];
  for (uint32_t i = threadIdx.x; i < 256; i += 32) s[512 + i] = b[i];
  __syncwarp();
  uint32_t fa[4], fb[4];
  ldmatrix_x4(fa, s + threadIdx.x % 16 * 32 + threadIdx.x / 16 * 16);
  ldmatrix_x4(fb, s + 512 + threadIdx.x % 8 * 32 + threadIdx.x / 8 % 2 * 16);
  float d[4];
  for (uint32_t i = 0; i < 4; ++i) d[i] = c[(threadIdx.x / 4 + i / 2 * 8) * 8 + threadIdx.x % 4 * 2 + i % 2];
  mma_m16n8k32_e4m3(d, fa, {fb[0], fb[1]});
  for (uint32_t i = 0; i < 4; ++i) c[(threadIdx.x / 4 + i / 2 * 8) * 8 + threadIdx.x % 4 * 2 + i % 2] = d[i];
}

// y[0] of each thread: what stands in shared memory before the wait; y[1]: after it
__global__ void copy(const float* x, float* y, uint32_t bytes) {
  DYN_SHARED(float, s);
  cp_async16(s + threadIdx.x * 4, x + threadIdx.x * 4, bytes);
  cp_async_commit();
  y[threadIdx.x * 8] = s[threadIdx.x * 4];
  cp_async_wait<0>();
  for (uint32_t i = 0; i < 4; ++i) y[threadIdx.x * 8 + 4 + i] = s[threadIdx.x * 4 + i];
}

__global__ void leave_shared(float* y) {
  DYN_SHARED(float, s);
  y[blockIdx.x] = s[0];
  s[0] = 1.0f;
}

__global__ void count_threads(uint32_t* counts) {
  const uint32_t block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const uint32_t thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  atomicAdd(counts + block * blockDim.x * blockDim.y * blockDim.z + thread, 1);
  __syncthreads();
}

std::string refusal(dim3 grid, dim3 block, size_t shared_bytes) {
  try {
    launch(count_threads, grid, block, shared_bytes, nullptr, nullptr);
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

}  // namespace

TEST_CASE("cuda_host: shuffles and votes") {
  WarpResults r;
  launch(warp_operations, dim3(1), dim3(32), 0, nullptr, &r);
  for (uint32_t i = 0; i < 32; ++i) {
    CHECK(r.shuffle[i] == (i + 5) % 32 * 10);
    CHECK(r.down[i] == (i < 28 ? i + 4 : i) * 10);
    CHECK(r.up[i] == (i < 4 ? i : i - 4) * 10);
    CHECK(r.across[i] == (i ^ 6) * 10);
    CHECK(r.ballot[i] == 0x49249249u);
    CHECK(r.any[i] == 1);
    CHECK(r.all[i] == 0);
  }
}

TEST_CASE("cuda_host: matrix fragments, bf16") {
  std::vector<uint16_t> a(16 * 16), b(16 * 8);
  for (uint32_t i = 0; i < a.size(); ++i) a[i] = uint16_t(abi::bf16_from_f32(float(int(i * 7 % 31) - 15)));
  for (uint32_t i = 0; i < b.size(); ++i) b[i] = uint16_t(abi::bf16_from_f32(float(int(i * 5 % 23) - 11)));
  std::vector<float> c(16 * 8);
  launch(multiply_bf16, dim3(1), dim3(32), (256 + 128) * 2, nullptr, a.data(), b.data(), c.data());
  for (uint32_t row = 0; row < 16; ++row)
    for (uint32_t column = 0; column < 8; ++column) {
      float sum = 0.0f;
      for (uint32_t k = 0; k < 16; ++k)
        sum += abi::f32_from_bf16(a[row * 16 + k]) * abi::f32_from_bf16(b[k * 8 + column]);
      CHECK(c[row * 8 + column] == sum);
    }
}

TEST_CASE("cuda_host: matrix fragments, e4m3") {
  std::vector<uint8_t> a(16 * 32), b(8 * 32);
  for (uint32_t i = 0; i < a.size(); ++i) a[i] = uint8_t(abi::e4m3_from_f32(float(int(i * 7 % 31) - 15)));
  for (uint32_t i = 0; i < b.size(); ++i) b[i] = uint8_t(abi::e4m3_from_f32(float(int(i * 5 % 23) - 11)));
  std::vector<float> c(16 * 8, 3.0f);
  launch(multiply_e4m3, dim3(1), dim3(32), 512 + 256, nullptr, a.data(), b.data(), c.data());
  for (uint32_t row = 0; row < 16; ++row)
    for (uint32_t column = 0; column < 8; ++column) {
      float sum = 3.0f;
      for (uint32_t k = 0; k < 32; ++k)
        sum += abi::f32_from_e4m3(a[row * 32 + k]) * abi::f32_from_e4m3(b[column * 32 + k]);
      CHECK(c[row * 8 + column] == sum);
    }
}

TEST_CASE("cuda_host: a copy lands before or at the wait, some either way, and zeros what it does not read") {
  constexpr uint32_t kThreads = 64;
  std::vector<float> x(kThreads * 4), y(kThreads * 8);
  for (uint32_t i = 0; i < x.size(); ++i) x[i] = float(i + 1);
  launch(copy, dim3(1), dim3(kThreads), kThreads * 16, nullptr, x.data(), y.data(), 8u);
  uint32_t early = 0;
  for (uint32_t t = 0; t < kThreads; ++t) {
    const float before = y[t * 8];
    early += before == x[t * 4];
    CHECK((before == x[t * 4] || std::isnan(before)));
    for (uint32_t i = 0; i < 4; ++i) CHECK(y[t * 8 + 4 + i] == (i < 2 ? x[t * 4 + i] : 0.0f));
  }
  CHECK(early > 0);
  CHECK(early < kThreads);
}

TEST_CASE("cuda_host: shared memory is NaN when a block starts") {
  std::vector<float> y(3);
  launch(leave_shared, dim3(3), dim3(1), 4, nullptr, y.data());
  for (const float v : y) CHECK(std::isnan(v));
}

TEST_CASE("cuda_host: every thread of every block runs once, in any order") {
  for (const cuda_host::Order order : cuda_host::kOrders) {
    cuda_host::set_order(order);
    std::vector<uint32_t> counts(2 * 3 * 2 * 5 * 4 * 3);
    launch(count_threads, dim3(2, 3, 2), dim3(5, 4, 3), 0, nullptr, counts.data());
    for (const uint32_t c : counts) CHECK(c == 1);
  }
  cuda_host::set_order(cuda_host::Order::forward);
}

TEST_CASE("cuda_host: launches that no device takes are refused") {
  CHECK(refusal(dim3(1), dim3(1025), 0).find("a block of (1025,1,1) threads") != std::string::npos);
  CHECK(refusal(dim3(1), dim3(0), 0).find("a block of (0,1,1) threads") != std::string::npos);
  CHECK(refusal(dim3(0), dim3(32), 0).find("a grid of (0,1,1) blocks") != std::string::npos);
  CHECK(refusal(dim3(1, 65536), dim3(32), 0).find("a grid of (1,65536,1) blocks") != std::string::npos);
  CHECK(refusal(dim3(1), dim3(32), 101377).find("101377 bytes of shared memory") != std::string::npos);
}

}  // namespace tandem::kernels
