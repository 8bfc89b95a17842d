// swiglu_quantize: y as swiglu makes it (rounded to bf16, not stored), quantized as by quantize: q, its transpose qt,
// scale. operands: x (rows, 2 columns) bf16 stacked gate | up, amax (64) u32|- to read, q (rows, columns) e4m3|-, qt
// (columns, rows) e4m3|-, scale (1) f32|-, amax (64) u32|- to raise. Guessed: the second amax alone, no scale. Checked:
// q and qt are in place.
#ifndef TANDEM_ABI_SWIGLU_QUANTIZE_H
#define TANDEM_ABI_SWIGLU_QUANTIZE_H
#include "core/abi/quantize.h"
TANDEM_ABI_BEGIN

struct SwigluQuantize {
  uint32_t rows, columns;  // sizes of y: multiples of 16
  uint32_t has_q, has_qt;  // q is always there where a scale is guessed or checked
  uint32_t scale;          // kScale...
};

TANDEM_ABI_END(SwigluQuantize)
#endif
