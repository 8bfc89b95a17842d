// How the CUDA kernels that add up the rows of a matrix cut it: into parts of consecutive rows, by its shape alone, so
// that the order of the sum is the same on every device. The workspace holds (parts, columns) f32.
#ifndef TANDEM_ABI_COLUMN_SUM_H
#define TANDEM_ABI_COLUMN_SUM_H
#include "core/abi/numeric.h"
#ifdef __cplusplus
namespace tandem::abi {
#endif

const uint32_t kColumnSumTile = 256;    // columns of a block
const uint32_t kColumnSumRows = 32;     // a part has a multiple of as many, so that a block's loads overlap
const uint32_t kColumnSumBlocks = 512;  // at most about as many: more would only add partial sums

TANDEM_FN uint32_t column_sum_part_rows(uint32_t rows, uint32_t columns) {
  const uint32_t tiles = (columns - 1u) / kColumnSumTile + 1u;
  const uint32_t parts = (kColumnSumBlocks - 1u) / tiles + 1u;
  return ((rows - 1u) / (parts * kColumnSumRows) + 1u) * kColumnSumRows;
}

TANDEM_FN uint32_t column_sum_parts(uint32_t rows, uint32_t columns) {
  return (rows - 1u) / column_sum_part_rows(rows, columns) + 1u;
}

#ifdef __cplusplus
}  // namespace tandem::abi
#endif
#endif
