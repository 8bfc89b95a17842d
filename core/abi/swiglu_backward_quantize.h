// swiglu_backward_quantize: dx as swiglu_backward makes it (rounded to bf16, not stored), quantized as by quantize: q,
// its transpose qt, scale. operands: dy (rows, columns) bf16, x (rows, 2 columns) bf16, amax (64) u32|- to read, q
// (rows, 2 columns) e4m3, qt (2 columns, rows) e4m3, scale (1) f32|-, amax (64) u32|- to raise. Guessed: the second
// amax alone, no scale. Checked: q and qt are in place.
#ifndef TANDEM_ABI_SWIGLU_BACKWARD_QUANTIZE_H
#define TANDEM_ABI_SWIGLU_BACKWARD_QUANTIZE_H
#include "core/abi/quantize.h"
TANDEM_ABI_BEGIN

struct SwigluBackwardQuantize {
  uint32_t rows, columns;  // sizes of dy: multiples of 16
  uint32_t scale;          // kScaleGuessed or kScaleChecked
};

TANDEM_ABI_END(SwigluBackwardQuantize)
#endif
