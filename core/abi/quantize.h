// quantize: q = quantize_e4m3(x, amax[0]) (numeric.h), its transpose qt, and scale = 2^-k, with which q * scale is
// about x; NaN when poisoned. operands: x (rows, columns), amax (64) u32, q (rows, columns) e4m3|-, qt (columns, rows)
// e4m3|-, scale (1) f32.
#ifndef TANDEM_ABI_QUANTIZE_H
#define TANDEM_ABI_QUANTIZE_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct Quantize {
  uint32_t rows, columns;  // multiples of 16
  uint32_t has_q, has_qt;
};

// What an op that makes a tensor and quantizes it in one pass scales by, as its amax is known only when the pass is
// over: scales repeat from run to run, so a pass that guesses is followed by one that has nothing to do where the guess
// was right.
const uint32_t kScaleGuessed = 0;  // codes under amax[kAmaxGuess]; amax[0] is raised to the true one; no scale
const uint32_t kScaleChecked =
    1;  // after it, amax[0] is known: codes are made again if its scale is not the guess's; scale
const uint32_t kScaleKnown = 2;  // codes under amax[0], from a pass before; scale

TANDEM_ABI_END(Quantize)
#endif
