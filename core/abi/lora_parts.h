// LoraParts: which columns of a product an adapter adds to. Part p adapts columns first[p] ... first[p] + columns[p] -
// 1 of y, by columns p * rank ... p * rank + rank - 1 of t. b stacks the parts' rows, one per adapted column, in order.
#ifndef TANDEM_ABI_LORA_PARTS_H
#define TANDEM_ABI_LORA_PARTS_H
#include "core/abi/numeric.h"
TANDEM_ABI_BEGIN

struct LoraParts {
  uint32_t count;       // 1 to 4
  uint32_t first[4];    // ascending
  uint32_t columns[4];  // multiples of 8, as first is
};

struct LoraPlace {
  uint32_t part;    // the count of parts where none adapts the column
  uint32_t row;     // b's
  uint32_t column;  // y's
};

// Where a column of y stands.
TANDEM_FN LoraPlace lora_place_of_column(LoraParts parts, uint32_t column) {
  LoraPlace place;
  place.part = parts.count;
  place.row = 0u;
  place.column = column;
  uint32_t row = 0u;
  for (uint32_t i = 0u; i < 4u; ++i) {
    if (i < parts.count && column >= parts.first[i] && column - parts.first[i] < parts.columns[i]) {
      place.part = i;
      place.row = row + (column - parts.first[i]);
    }
    row += i < parts.count ? parts.columns[i] : 0u;
  }
  return place;
}

// Where a row of b stands.
TANDEM_FN LoraPlace lora_place_of_row(LoraParts parts, uint32_t row) {
  LoraPlace place;
  place.part = 0u;
  place.row = row;
  place.column = parts.first[0] + row;
  uint32_t before = 0u;
  for (uint32_t i = 0u; i < 4u; ++i) {
    if (i < parts.count && row >= before) {
      place.part = i;
      place.column = parts.first[i] + (row - before);
    }
    before += i < parts.count ? parts.columns[i] : 0u;
  }
  return place;
}

TANDEM_ABI_END(LoraParts)
#endif
