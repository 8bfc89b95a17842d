// amax: amax[0] = max(amax[0], bits(|x|)) over all elements, as u32, so that NaN wins. operands: x, amax (64) u32, in
// place.
#ifndef TANDEM_ABI_AMAX_H
#define TANDEM_ABI_AMAX_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

const uint32_t kAmaxWords = 64;  // an amax operand's words, so many that slots keep an operand's alignment
const uint32_t kAmaxGuess = 1;   // word 0 is the amax, this one what it was in runs before: see shift_amax.h

struct Amax {
  uint32_t count;
};

TANDEM_ABI_END(Amax)
#endif
