// What the kernels share that quantize: tiles of 128 rows and 128 columns of codes in shared memory, from which q and
// its transpose leave with 16 bytes an access, 128 bytes of a row together.
#pragma once

#include "kernels/device.cuh"

namespace tandem::kernels {

constexpr uint32_t kCodeTile = 128, kCodeThreads = 256;
constexpr uint32_t kCodeWords = kCodeTile / 4;  // a row's: 4 codes each
constexpr size_t kCodeTileBytes = kCodeTile * kCodeTile;

// Each row's 8 chunks of 4 words change places with the row's group of 16, so that neither a row nor a word column over
// the groups meets twice in a bank.
__device__ __forceinline__ uint32_t word_at(uint32_t row, uint32_t word) {
  return row * kCodeWords + (word ^ row / 16 * 4);
}

// What turns a tensor's elements into codes, by its amax.
struct Coder {
  bool poisoned;
  int32_t k;
  float scale;

  __device__ __forceinline__ explicit Coder(uint32_t amax)
      : poisoned(abi::is_poisoned(amax)), k(abi::scale_exponent(amax)), scale(abi::power_of_two(k)) {}
  // Codes of 8 elements; a poisoned tensor's are all NaN. keeps_signs: of NaNs too
  template <bool keeps_signs = true>
  __device__ __forceinline__ uint2 of(const Raw<bf16>& x) const {
    if (poisoned) return make_uint2(0x7f7f7f7fu, 0x7f7f7f7fu);
    constexpr auto kPack = keeps_signs ? pack_e4m3 : pack_e4m3_numbers;
    const Pack v = unpack(x);
    return make_uint2(kPack(v.v[0], v.v[1], v.v[2], v.v[3], scale, k), kPack(v.v[4], v.v[5], v.v[6], v.v[7], scale, k));
  }
};

// A tile of a matrix of codes: where it stands in it.
struct CodeTile {
  uint32_t rows, columns;            // the matrix's
  uint32_t first_row, first_column;  // the tile's

  // tile number i of the matrix
  __device__ __forceinline__ static CodeTile at(uint32_t rows, uint32_t columns, uint32_t i) {
    const uint32_t tiles_a_row = ceil_div(columns, kCodeTile);
    return {rows, columns, i / tiles_a_row * kCodeTile, i % tiles_a_row * kCodeTile};
  }

  // Pack number u of the thread, of 8 elements: its row and column in the tile, and whether the matrix has it.
  static constexpr uint32_t kPacksPerThread = kCodeTile * kCodeTile / 8 / kCodeThreads;
  struct Place {
    uint32_t row, column;
    bool inside;
  };
  __device__ __forceinline__ Place place(uint32_t u) const {
    const uint32_t i = u * kCodeThreads + threadIdx.x, row = i / (kCodeTile / 8), column = i % (kCodeTile / 8) * 8;
    return {row, column, first_row + row < rows && first_column + column < columns};
  }
  __device__ __forceinline__ size_t element(const Place& p) const {
    return size_t(first_row + p.row) * columns + first_column + p.column;
  }
  __device__ __forceinline__ static void put(uint32_t* words, const Place& p, uint2 codes) {
    *reinterpret_cast<uint2*>(words + word_at(p.row, p.column / 4)) = codes;
  }

  // from q, as dense as the matrix
  __device__ __forceinline__ void load_rows(uint32_t* words, const uint8_t* q) const {
    constexpr uint32_t kChunks = kCodeTile / 16, kChunksPerThread = kCodeTile * kChunks / kCodeThreads;
    uint4 v[kChunksPerThread];
#pragma unroll
    for (uint32_t u = 0; u < kChunksPerThread; ++u) {
      const uint32_t i = u * kCodeThreads + threadIdx.x, row = first_row + i / kChunks;
      const uint32_t column = first_column + i % kChunks * 16;
      const bool inside = row < rows && column < columns;
      v[u] = inside ? *reinterpret_cast<const uint4*>(q + size_t(row) * columns + column) : make_uint4(0, 0, 0, 0);
    }
#pragma unroll
    for (uint32_t u = 0; u < kChunksPerThread; ++u) {
      const uint32_t i = u * kCodeThreads + threadIdx.x;
      *reinterpret_cast<uint4*>(words + word_at(i / kChunks, i % kChunks * 4)) = v[u];
    }
  }

  // stride: from row to row of q, where it is a part of a wider matrix
  __device__ __forceinline__ void store_rows(const uint32_t* words, uint8_t* q, uint32_t stride) const {
    constexpr uint32_t kChunks = kCodeTile / 16;
#pragma unroll
    for (uint32_t i = threadIdx.x; i < kCodeTile * kChunks; i += kCodeThreads) {
      const uint32_t row = i / kChunks, column = first_column + i % kChunks * 16;
      if (first_row + row < rows && column < columns)
        *reinterpret_cast<uint4*>(q + size_t(first_row + row) * stride + column) =
            *reinterpret_cast<const uint4*>(words + word_at(row, i % kChunks * 4));
    }
  }

  // a thread: 16 rows of 4 columns; 8 lanes side by side along the rows
  __device__ __forceinline__ void store_columns(const uint32_t* words, uint8_t* qt) const {
    static_assert(kCodeTile / 16 * kCodeWords == kCodeThreads);
    const uint32_t group = threadIdx.x % 8, word = threadIdx.x / 8;
    const uint32_t row = first_row + group * 16, column = first_column + word * 4;
    if (row >= rows || column >= columns) return;
    uint32_t w[16];
#pragma unroll
    for (uint32_t r = 0; r < 16; ++r) w[r] = words[word_at(group * 16 + r, word)];
#pragma unroll
    for (uint32_t r = 0; r < 16; r += 4) transpose_bytes(w[r], w[r + 1], w[r + 2], w[r + 3]);
#pragma unroll
    for (uint32_t c = 0; c < 4; ++c)
      *reinterpret_cast<uint4*>(qt + size_t(column + c) * rows + row) = make_uint4(w[c], w[c + 4], w[c + 8], w[c + 12]);
  }

  // bytes i of a, b, c and d become word i
  __device__ __forceinline__ static void transpose_bytes(uint32_t& a, uint32_t& b, uint32_t& c, uint32_t& d) {
    const uint32_t ab_low = __byte_perm(a, b, 0x5140), ab_high = __byte_perm(a, b, 0x7362);
    const uint32_t cd_low = __byte_perm(c, d, 0x5140), cd_high = __byte_perm(c, d, 0x7362);
    a = __byte_perm(ab_low, cd_low, 0x5410);
    b = __byte_perm(ab_low, cd_low, 0x7632);
    c = __byte_perm(ab_high, cd_high, 0x5410);
    d = __byte_perm(ab_high, cd_high, 0x7632);
  }
};

inline uint32_t code_tiles(uint32_t rows, uint32_t columns) {
  return ceil_div(rows, kCodeTile) * ceil_div(columns, kCodeTile);
}

}  // namespace tandem::kernels
