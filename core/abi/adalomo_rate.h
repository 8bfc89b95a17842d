// adalomo_rate: by what one stored tensor moves. a = learning_rate * max(1e-3, rms(w)); rates[0] = a; rates[1] = a *
// sqrt(mean) / max(1, rms(u)), where rms(x) = sqrt((the sum of its partials) / count) and mean is adalomo_norm's, 1 of
// a vector. operands: partials (2, any) f32, update as in adalomo_squares, row_totals (any) f32|-, rates (2) f32.
#ifndef TANDEM_ABI_ADALOMO_RATE_H
#define TANDEM_ABI_ADALOMO_RATE_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct AdalomoRate {
  uint32_t partials;   // as many for u as for w
  uint32_t totals;     // elements of row_totals; 0: there are none
  uint32_t count;      // elements of the tensor without padding
  uint32_t true_rows;  // the tensor's, without padding
  uint32_t update_row;
};

TANDEM_ABI_END(AdalomoRate)
#endif
