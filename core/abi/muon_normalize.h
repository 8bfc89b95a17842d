// muon_normalize: x = round(u / max(|u|, 1e-7)), |u| the root of the sum of partials, a tree of fixed shape.
// operands: partials (any) f32, square_sum's of u; u (count), in place.
#ifndef TANDEM_ABI_MUON_NORMALIZE_H
#define TANDEM_ABI_MUON_NORMALIZE_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct MuonNormalize {
  uint32_t count;  // multiple of 4
  uint32_t partials;
};

TANDEM_ABI_END(MuonNormalize)
#endif
