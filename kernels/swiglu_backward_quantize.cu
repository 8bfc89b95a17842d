// swiglu_backward_quantize: see core/abi/swiglu_backward_quantize.h. A block takes tiles of 128 rows and 128 columns of
// dgate and the same of dup through shared memory. Reads dy (rows, columns) and x (rows, 2 columns), writes q (rows, 2
// columns) and qt (2 columns, rows), raises amax once a tile: 10 bytes per element of dy, at 90% of 4.3 TB/s 2.6 ns a
// 1000 elements; a check of a right guess reads two words. No sums.
#include "core/abi/swiglu_backward_quantize.h"

#include "kernels/quantize_result.cuh"
#include "kernels/swiglu.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kAhead = 4;  // packs whose loads are under way
constexpr uint32_t kTileWords = kCodeTileBytes / sizeof(uint32_t);

// the codes of dgate and, kTileWords further on, of dup; returns the largest magnitude of the thread's elements
__device__ __forceinline__ uint32_t make_tiles(const CodeTile& tile, const bf16* dy, const bf16* x, const Coder& codes,
                                               uint32_t* words) {
  uint32_t largest = 0;
#pragma unroll
  for (uint32_t first = 0; first < CodeTile::kPacksPerThread; first += kAhead) {
    Raw<bf16> d[kAhead] = {}, gate[kAhead] = {}, up[kAhead] = {};
#pragma unroll
    for (uint32_t u = 0; u < kAhead; ++u) {
      const CodeTile::Place p = tile.place(first + u);
      if (!p.inside) continue;
      const bf16* const at = x + tile.element(p) + size_t(tile.first_row + p.row) * tile.columns;
      d[u] = load_raw(dy + tile.element(p));
      gate[u] = load_raw(at);
      up[u] = load_raw(at + tile.columns);
    }
#pragma unroll
    for (uint32_t u = 0; u < kAhead; ++u) {
      const CodeTile::Place p = tile.place(first + u);
      Pack dgate, dup;
      differentiate_swiglu(unpack(d[u]), unpack(gate[u]), unpack(up[u]), dgate, dup);
      const Raw<bf16> rounded_gate = round_numbers_to<bf16>(dgate), rounded_up = round_numbers_to<bf16>(dup);
      largest = max(largest, max(magnitude(rounded_gate), magnitude(rounded_up)));
      CodeTile::put(words, p, codes.of<false>(rounded_gate));
      CodeTile::put(words + kTileWords, p, codes.of<false>(rounded_up));
    }
  }
  return largest;
}

__global__ void __launch_bounds__(kCodeThreads, 4)
    swiglu_backward_quantize_kernel(abi::SwigluBackwardQuantize p, const bf16* __restrict__ dy,
                                    const bf16* __restrict__ x, const ResultOperands out, uint32_t tiles) {
  DYN_SHARED(uint32_t, words);
  if (out.settle(p.scale)) return;
  const Coder codes(out.basis());
  for (uint32_t i = blockIdx.x; i < tiles; i += gridDim.x) {
    const CodeTile tile = CodeTile::at(p.rows, p.columns, i);
    const uint32_t largest = make_tiles(tile, dy, x, codes, words);
    __syncthreads();
#pragma unroll
    for (uint32_t half = 0; half < 2; ++half) {  // dgate, dup
      tile.store_rows(words + half * kTileWords, out.q + half * p.columns, 2 * p.columns);
      tile.store_columns(words + half * kTileWords, out.qt + size_t(half) * p.columns * p.rows);
    }
    if (out.guessed()) raise_amax(out.amax, largest, words + 2 * kTileWords);
    __syncthreads();  // the tiles' memory is free
  }
}

}  // namespace

bool swiglu_backward_quantize(const Call& call, Stream stream) {
  if (call.dtype(0) != DType::bf16) return false;
  const auto& p = call.as<abi::SwigluBackwardQuantize>();
  const uint32_t tiles = code_tiles(p.rows, p.columns);
  launch(swiglu_backward_quantize_kernel, result_grid(p.scale, tiles), dim3(kCodeThreads),
         2 * kCodeTileBytes + kCodeThreads / 32 * sizeof(uint32_t), stream, p, call.data<bf16>(0), call.data<bf16>(1),
         ResultOperands(call, 2), tiles);
  return true;
}

}  // namespace tandem::kernels
