// What the ops of adapters share: their parts, checked.
#pragma once

#include "core/abi/lora_parts.h"
#include "core/ops/inputs.h"

namespace tandem::ops {

// Rows of b: all adapted columns. Exit::internal for parts that do not ascend within ldc columns.
inline uint64_t check_parts(std::string_view op, const abi::LoraParts& parts, uint32_t rank, uint32_t ldc) {
  require(parts.count >= 1 && parts.count <= 4, "{}: {} parts, expected 1 to 4", op, parts.count);
  require(rank > 0 && rank % 8 == 0, "{}: rank {}, expected a multiple of 8", op, rank);
  require(ldc % 8 == 0, "{}: {} columns, expected a multiple of 8", op, ldc);
  uint64_t end = 0, rows = 0;
  for (uint32_t i = 0; i < parts.count; ++i) {
    require(parts.first[i] >= end && parts.columns[i] > 0 && parts.first[i] % 8 == 0 && parts.columns[i] % 8 == 0,
            "{}: part {} has columns {} + {}, expected multiples of 8 behind {}", op, i, parts.first[i],
            parts.columns[i], end);
    end = uint64_t(parts.first[i]) + parts.columns[i];
    rows += parts.columns[i];
  }
  require(end <= ldc, "{}: parts end at column {} of {}", op, end, ldc);
  return rows;
}

// Multiplications and additions over all parts.
inline uint64_t part_flops(const abi::LoraParts& parts, uint64_t rows, uint64_t rank) {
  uint64_t columns = 0;
  for (uint32_t i = 0; i < parts.count; ++i) columns += parts.columns[i];
  return 2 * rows * columns * rank;
}

}  // namespace tandem::ops
