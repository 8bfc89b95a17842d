// adamw: Loshchilov and Hutter 2019 (arXiv 1711.05101), decoupled decay first, as in PyTorch. With g = gradient *
// coefficient, in f32: p -= learning_rate * decay * p; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; p -=
// learning_rate * (m / correction1) / (sqrt(v) / correction2_root + epsilon). Nothing changes when update.skipped. f32
// stores as is; bf16 p, m, v by stochastic rounding, element e of a stored tensor with word e mod 4 of philox(seed; e
// div 4, tensor, step, stream), streams 0 p, 1 m, 2 v. With a master (f32) the update is made on it, and p =
// rne(master). The operands may be a part of a parameter, a rank's rows among them: segments say where e begins, with
// update.rank. With update (segments, 64) each segment has words of its own: its coefficient, and whether it is
// skipped. operands: gradient (count), update (16) or (segments, 64) u32, abi UpdateScalars, p, m, v (count), in place,
// master (count) f32|-, in place.
#ifndef TANDEM_ABI_ADAMW_H
#define TANDEM_ABI_ADAMW_H
#include "core/abi/segments.h"
TANDEM_ABI_BEGIN

struct AdamW {
  uint32_t count;
  float beta1, beta2;
  float one_minus_beta1, one_minus_beta2;
  float epsilon;
  float decay;  // 0 for parameters of rank 1
  uint32_t has_master;
  uint32_t by_segment;  // a row of update each
  Segments segments;
};

TANDEM_ABI_END(AdamW)
#endif
