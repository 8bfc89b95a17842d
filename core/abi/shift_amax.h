// shift_amax: of each slot of 64 words, word 1 becomes word 0 and word 0 becomes 0: the largest of the run before is
// the guess of this one. The last `guesses` slots had been guessed for: those whose word 0 the run before wrote (it is
// not 0) add 1 to counts[0] each, and those among them whose two words have other scales, which were guessed wrong, add
// 1 to counts[1]. operands: amax (64 slots) u32, in place, counts (2) u32, in place.
#ifndef TANDEM_ABI_SHIFT_AMAX_H
#define TANDEM_ABI_SHIFT_AMAX_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct ShiftAmax {
  uint32_t slots;
  uint32_t guesses;
};

TANDEM_ABI_END(ShiftAmax)
#endif
