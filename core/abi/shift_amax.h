// shift_amax: of each slot of 64 words, word 1 becomes word 0 and word 0 becomes 0: the largest of the run before is
// the guess of this one. operands: amax (64 slots) u32, in place.
#ifndef TANDEM_ABI_SHIFT_AMAX_H
#define TANDEM_ABI_SHIFT_AMAX_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct ShiftAmax {
  uint32_t slots;
};

TANDEM_ABI_END(ShiftAmax)
#endif
