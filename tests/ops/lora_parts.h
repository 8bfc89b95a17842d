// The parts that the cases of adapters' ops have.
#pragma once

#include "core/abi/lora_parts.h"
#include "tests/support/op_case.h"

namespace tandem::test {

struct LoraCase {
  std::string name;
  uint32_t rank = 0, rows = 0, ldc = 0;
  abi::LoraParts parts;

  uint64_t width() const { return uint64_t{parts.count} * rank; }
  uint64_t rows_of_b() const {
    uint64_t rows = 0;
    for (uint32_t i = 0; i < parts.count; ++i) rows += parts.columns[i];
    return rows;
  }
};

// Ranks 1, 5 (padded to 8), 16 to 64 and 256; whole products, a middle part that is missing, one at an end, padded
// columns; rows and columns that go several times around what kernels keep in flight.
inline std::vector<LoraCase> lora_cases() {
  return {
      {"one part, rank 8", 8, 37, 48, {1, {0}, {48}}},
      {"q | k | v, rank 16", 16, 64, 96, {3, {0, 48, 72}, {48, 24, 24}}},
      {"no k, rank 8", 8, 19, 96, {2, {0, 72}, {48, 24}}},
      {"v alone, rank 16", 16, 130, 208, {1, {136}, {72}}},
      {"gate | up, rank 256", 256, 24, 272, {2, {0, 136}, {136, 136}}},
      {"one row, rank 16", 16, 1, 96, {3, {0, 48, 72}, {48, 24, 24}}},
      {"wide, rank 16", 16, 150, 1160, {2, {0, 648}, {584, 512}}},
      {"four parts, rank 24", 24, 9, 64, {4, {0, 16, 32, 48}, {16, 8, 16, 8}}},
      {"many rows, rank 16", 16, 900, 40, {1, {0}, {40}}},
      {"many rows, rank 32", 32, 700, 136, {1, {8}, {104}}},
      {"many rows and columns, rank 64", 64, 530, 400, {1, {0}, {400}}},
      {"many columns, rank 32", 32, 20, 416, {1, {16}, {400}}},
      {"no up, rank 40", 40, 141, 160, {1, {0}, {72}}},
      {"gate | up, rank 64", 64, 260, 336, {2, {0, 168}, {168, 168}}},
  };
}

}  // namespace tandem::test
