// transpose: see core/abi/transpose.h. A block takes a tile of 128 rows and 128 columns through shared memory, so that
// every access to memory has 16 bytes, 128 bytes of a row together.
// Reads q (rows, columns), writes qt (columns, rows): 2 bytes per element, at 90% of an H200's 4.3 TB/s 0.52 ns per
// 1000 elements. No sums.
#include "core/abi/transpose.h"

#include "kernels/quantize_tile.cuh"

namespace tandem::kernels {
namespace {

__global__ void __launch_bounds__(kCodeThreads)
    transpose_kernel(abi::Transpose p, const uint8_t* __restrict__ q, uint8_t* __restrict__ qt) {
  DYN_SHARED(uint32_t, words);
  const CodeTile tile = CodeTile::at(p.rows, p.columns, blockIdx.x);
  tile.load_rows(words, q);
  __syncthreads();
  tile.store_columns(words, qt);
}

}  // namespace

bool transpose(const Call& call, Stream stream) {
  const auto& p = call.as<abi::Transpose>();
  launch(transpose_kernel, dim3(code_tiles(p.rows, p.columns)), dim3(kCodeThreads), kCodeTileBytes, stream, p,
         call.data<uint8_t>(0), call.data<uint8_t>(1));
  return true;
}

}  // namespace tandem::kernels
