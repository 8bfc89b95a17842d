// sgd: p -= learning_rate * decay * p; p -= learning_rate * gradient * coefficient, in f32. Nothing changes when
// update.skipped. f32 p stores as is; bf16 p by stochastic rounding, with the words of stream 0 that adamw takes. With
// a master (f32) the update is made on it, and p = rne(master). Segments and words of a segment are those of adamw.
// operands: gradient (count), update (16) or (segments, 64) u32, abi UpdateScalars, p (count), in place, master (count)
// f32|-, in place.
#ifndef TANDEM_ABI_SGD_H
#define TANDEM_ABI_SGD_H
#include "core/abi/segments.h"
TANDEM_ABI_BEGIN

struct Sgd {
  uint32_t count;
  float decay;  // 0 for parameters of rank 1
  uint32_t has_master;
  uint32_t by_segment;  // a row of update each
  Segments segments;
};

TANDEM_ABI_END(Sgd)
#endif
