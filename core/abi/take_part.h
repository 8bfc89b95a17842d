// take_part: y = round(x), to nearest, of one stored tensor's elements alone: those from block `first` of x on, so that
// products can read them. operands: x (any), y (rows, columns).
#ifndef TANDEM_ABI_TAKE_PART_H
#define TANDEM_ABI_TAKE_PART_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct TakePart {
  uint32_t first;  // block of 4 elements; the tensor has whole ones
  uint32_t rows, columns;
  uint32_t wide;  // y is f32, else bf16
};

TANDEM_ABI_END(TakePart)
#endif
