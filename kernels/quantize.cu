// quantize: see core/abi/quantize.h. A block takes a tile of 128 rows and 128 columns through shared memory, so that q
// and qt come from one read of x and every access to memory has 16 bytes, 128 bytes of a row together.
// Reads x (rows, columns) bf16, amax, writes q (rows, columns), qt (columns, rows), scale (1): 4 bytes an element, at
// 90% of 4.3 TB/s 1.0 ns a 1000 elements. No sums.
#include "core/abi/quantize.h"

#include "kernels/device.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kTile = 128, kThreads = 256;
constexpr uint32_t kRowWords = kTile / 4;

// The tile's codes, 4 to a word. Each row's 8 chunks of 4 words change places with the row's group of 16, so that
// neither a row nor a word column over the groups meets twice in a bank.
__device__ __forceinline__ uint32_t word_at(uint32_t row, uint32_t word) {
  return row * kRowWords + (word ^ row / 16 * 4);
}

// 8 codes of x, a poisoned tensor's all NaN
__device__ __forceinline__ uint2 codes(const Raw<bf16>& x, uint32_t amax) {
  if (abi::is_poisoned(amax)) return make_uint2(0x7f7f7f7fu, 0x7f7f7f7fu);
  const int32_t k = abi::scale_exponent(amax);
  const float scale = abi::power_of_two(k);
  const Pack v = unpack(x);
  return make_uint2(pack_e4m3(v.v[0], v.v[1], v.v[2], v.v[3], scale, k),
                    pack_e4m3(v.v[4], v.v[5], v.v[6], v.v[7], scale, k));
}

__device__ __forceinline__ void load_tile(const abi::Quantize& p, const bf16* x, uint32_t amax, uint32_t first_row,
                                          uint32_t first_column, uint32_t* tile) {
  constexpr uint32_t kPacks = kTile / 8, kPacksPerThread = kTile * kPacks / kThreads;
  Raw<bf16> v[kPacksPerThread];
#pragma unroll
  for (uint32_t u = 0; u < kPacksPerThread; ++u) {
    const uint32_t i = u * kThreads + threadIdx.x, row = first_row + i / kPacks, column = first_column + i % kPacks * 8;
    v[u] = row < p.rows && column < p.columns ? load_raw(x + size_t(row) * p.columns + column) : Raw<bf16>{};
  }
#pragma unroll
  for (uint32_t u = 0; u < kPacksPerThread; ++u) {
    const uint32_t i = u * kThreads + threadIdx.x;
    *reinterpret_cast<uint2*>(tile + word_at(i / kPacks, i % kPacks * 2)) = codes(v[u], amax);
  }
}

__device__ __forceinline__ void store_rows(const abi::Quantize& p, const uint32_t* tile, uint32_t first_row,
                                           uint32_t first_column, uint8_t* q) {
  constexpr uint32_t kChunks = kTile / 16;
#pragma unroll
  for (uint32_t i = threadIdx.x; i < kTile * kChunks; i += kThreads) {
    const uint32_t row = i / kChunks, column = first_column + i % kChunks * 16;
    if (first_row + row < p.rows && column < p.columns)
      *reinterpret_cast<uint4*>(q + size_t(first_row + row) * p.columns + column) =
          *reinterpret_cast<const uint4*>(tile + word_at(row, i % kChunks * 4));
  }
}

// bytes i of a, b, c and d become word i
__device__ __forceinline__ void transpose_bytes(uint32_t& a, uint32_t& b, uint32_t& c, uint32_t& d) {
  const uint32_t ab_low = __byte_perm(a, b, 0x5140), ab_high = __byte_perm(a, b, 0x7362);
  const uint32_t cd_low = __byte_perm(c, d, 0x5140), cd_high = __byte_perm(c, d, 0x7362);
  a = __byte_perm(ab_low, cd_low, 0x5410);
  b = __byte_perm(ab_low, cd_low, 0x7632);
  c = __byte_perm(ab_high, cd_high, 0x5410);
  d = __byte_perm(ab_high, cd_high, 0x7632);
}

// a thread: 16 rows of 4 columns; 8 lanes side by side along the rows
__device__ __forceinline__ void store_columns(const abi::Quantize& p, const uint32_t* tile, uint32_t first_row,
                                              uint32_t first_column, uint8_t* qt) {
  static_assert(kTile / 16 * kRowWords == kThreads);
  const uint32_t group = threadIdx.x % 8, word = threadIdx.x / 8;
  const uint32_t row = first_row + group * 16, column = first_column + word * 4;
  if (row >= p.rows || column >= p.columns) return;
  uint32_t w[16];
#pragma unroll
  for (uint32_t r = 0; r < 16; ++r) w[r] = tile[word_at(group * 16 + r, word)];
#pragma unroll
  for (uint32_t r = 0; r < 16; r += 4) transpose_bytes(w[r], w[r + 1], w[r + 2], w[r + 3]);
#pragma unroll
  for (uint32_t c = 0; c < 4; ++c)
    *reinterpret_cast<uint4*>(qt + size_t(column + c) * p.rows + row) = make_uint4(w[c], w[c + 4], w[c + 8], w[c + 12]);
}

template <bool has_q, bool has_qt>
__global__ void __launch_bounds__(kThreads)
    quantize_kernel(abi::Quantize p, const bf16* __restrict__ x, const uint32_t* __restrict__ amax,
                    uint8_t* __restrict__ q, uint8_t* __restrict__ qt, float* __restrict__ scale,
                    uint32_t tiles_a_row) {
  DYN_SHARED(uint32_t, tile);
  const uint32_t largest = amax[0];
  const uint32_t first_row = blockIdx.x / tiles_a_row * kTile, first_column = blockIdx.x % tiles_a_row * kTile;
  if (blockIdx.x == 0 && threadIdx.x == 0)
    scale[0] =
        abi::is_poisoned(largest) ? abi::bits_float(0x7fc00000u) : abi::power_of_two(-abi::scale_exponent(largest));
  load_tile(p, x, largest, first_row, first_column, tile);
  __syncthreads();
  if (has_q) store_rows(p, tile, first_row, first_column, q);
  if (has_qt) store_columns(p, tile, first_row, first_column, qt);
}

}  // namespace

bool quantize(const Call& call, Stream stream) {
  if (call.dtype(0) != DType::bf16) return false;
  const auto& p = call.as<abi::Quantize>();
  const uint32_t tiles_a_row = ceil_div(p.columns, kTile);
  const auto kernel = !p.has_qt ? quantize_kernel<true, false>
                      : p.has_q ? quantize_kernel<true, true>
                                : quantize_kernel<false, true>;
  launch(kernel, dim3(ceil_div(p.rows, kTile) * tiles_a_row), dim3(kThreads), kTile * kTile, stream, p,
         call.data<bf16>(0), call.data<uint32_t>(1), call.data<uint8_t>(2), call.data<uint8_t>(3), call.data<float>(4),
         tiles_a_row);
  return true;
}

}  // namespace tandem::kernels
