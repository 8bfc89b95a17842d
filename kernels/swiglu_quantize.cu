// swiglu_quantize: see core/abi/swiglu_quantize.h. A block takes tiles of 128 rows and 128 columns of the product
// through shared memory. Reads x (rows, 2 columns), writes q (rows, columns) and qt (columns, rows), raises amax once a
// tile: 6 bytes per element of the product, at 90% of 4.3 TB/s 1.6 ns per 1000 elements; a check of a right guess reads
// two words. No sums.
#include "core/abi/swiglu_quantize.h"

#include "kernels/quantize_result.cuh"
#include "kernels/swiglu.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kAhead = 4;  // packs whose loads are under way

// the tile's codes; returns the largest magnitude of the thread's elements
__device__ __forceinline__ uint32_t make_tile(const CodeTile& tile, const bf16* x, const Coder& codes,
                                              uint32_t* words) {
  uint32_t largest = 0;
#pragma unroll
  for (uint32_t first = 0; first < CodeTile::kPacksPerThread; first += kAhead) {
    Raw<bf16> gate[kAhead] = {}, up[kAhead] = {};
#pragma unroll
    for (uint32_t u = 0; u < kAhead; ++u) {
      const CodeTile::Place p = tile.place(first + u);
      if (!p.inside) continue;
      const bf16* const at = x + tile.element(p) + size_t(tile.first_row + p.row) * tile.columns;
      gate[u] = load_raw(at);
      up[u] = load_raw(at + tile.columns);
    }
#pragma unroll
    for (uint32_t u = 0; u < kAhead; ++u) {
      const Raw<bf16> y = round_numbers_to<bf16>(swiglu_of(unpack(gate[u]), unpack(up[u])));
      largest = max(largest, magnitude(y));
      CodeTile::put(words, tile.place(first + u), codes.of<false>(y));
    }
  }
  return largest;
}

__global__ void __launch_bounds__(kCodeThreads, 4)
    swiglu_quantize_kernel(abi::SwigluQuantize p, const bf16* __restrict__ x, const ResultOperands out,
                           uint32_t tiles) {
  DYN_SHARED(uint32_t, words);
  if (out.settle(p.scale)) return;
  const Coder codes(out.basis());
  for (uint32_t i = blockIdx.x; i < tiles; i += gridDim.x) {
    const CodeTile tile = CodeTile::at(p.rows, p.columns, i);
    const uint32_t largest = make_tile(tile, x, codes, words);
    __syncthreads();
    if (out.q != nullptr) tile.store_rows(words, out.q, p.columns);
    if (out.qt != nullptr) tile.store_columns(words, out.qt);
    if (out.guessed()) raise_amax(out.amax, largest, words + kCodeTileBytes / sizeof(uint32_t));
    __syncthreads();  // the tile's memory is free
  }
}

}  // namespace

bool swiglu_quantize(const Call& call, Stream stream) {
  if (call.dtype(0) != DType::bf16) return false;
  const auto& p = call.as<abi::SwigluQuantize>();
  const uint32_t tiles = code_tiles(p.rows, p.columns);
  launch(swiglu_quantize_kernel, result_grid(p.scale, tiles), dim3(kCodeThreads),
         kCodeTileBytes + kCodeThreads / 32 * sizeof(uint32_t), stream, p, call.data<bf16>(0), ResultOperands(call, 1),
         tiles);
  return true;
}

}  // namespace tandem::kernels
