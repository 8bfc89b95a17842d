// The workspace of CUDA's sums over the rows of a (rows, columns) matrix: (parts, columns) f32
#pragma once

#include "core/abi/column_sum.h"

namespace tandem::ops {

inline uint64_t column_sum_workspace(uint32_t rows, uint32_t columns) {
  return uint64_t(abi::column_sum_parts(rows, columns)) * columns * sizeof(float);
}

}  // namespace tandem::ops
