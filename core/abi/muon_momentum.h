// muon_momentum: what Muon makes of a stored tensor's gradient, before it is orthogonalized (Jordan et al. 2024, "Muon:
// An optimizer for hidden layers in neural networks"). With g = coefficient * gradient, in f32: m' = momentum m + (1 -
// momentum) g; u = nesterov ? (1 - momentum) g + momentum m' : m', of m' before it is rounded, to nearest. m stays when
// update.skipped. f32 m stores as is; bf16 m is rounded stochastically: element e of the stored
// tensor by word e mod 4 of philox(seed; e div 4, tensor, step, 1). The tensor begins at block `first` of gradient and
// m. operands: gradient (any), update (16) u32, abi UpdateScalars, u (rows, columns), m (as gradient), in place.
#ifndef TANDEM_ABI_MUON_MOMENTUM_H
#define TANDEM_ABI_MUON_MOMENTUM_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct MuonMomentum {
  uint32_t first;  // block of 4 elements; the tensor has whole ones
  uint32_t tensor;
  uint32_t rows, columns;
  float momentum, one_minus_momentum;
  uint32_t nesterov;  // 0 or 1
  uint32_t wide;      // u is f32, else bf16
};

TANDEM_ABI_END(MuonMomentum)
#endif
