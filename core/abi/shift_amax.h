// shift_amax: of each slot of 64 words, word 1 becomes next_guess of words 1 and 0, and word 0 becomes 0: what the runs
// before made is the guess of this one. The last `guesses` slots had been guessed for: those whose word 0 the run
// before wrote (it is not 0) add 1 to counts[0] each, and those among them whose two words have other scales, which
// were guessed wrong, add 1 to counts[1]. operands: amax (64 slots) u32, in place, counts (2) u32, in place.
#ifndef TANDEM_ABI_SHIFT_AMAX_H
#define TANDEM_ABI_SHIFT_AMAX_H
#include "core/abi/abi.h"
#include "core/abi/numeric.h"
TANDEM_ABI_BEGIN

struct ShiftAmax {
  uint32_t slots;
  uint32_t guesses;
};

// The guess moves a fourth of the way to the amax that was seen, by their bits, which are nearly logarithms: a mean is
// right more often than the last value where values scatter. It goes there at once from nothing, and where they are
// more than four times apart.
TANDEM_FN uint32_t next_guess(uint32_t guess, uint32_t amax) {
  if (amax == 0u || is_poisoned(amax)) return guess;
  const uint32_t apart = amax > guess ? amax - guess : guess - amax;
  if (guess == 0u || apart > (2u << 23)) return amax;
  return amax > guess ? guess + apart / 4u : guess - apart / 4u;
}

TANDEM_ABI_END(ShiftAmax)
#endif
