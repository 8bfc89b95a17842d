// apollo_limit: the factor that APOLLO's scaled gradient has for all channels alike, by which its norm grows by 1% per
// update at most. f = 1 or, with sums, sqrt(sum of |n|^2) / (sqrt(sum of |g|^2) + 1e-8); own = f * (coefficient *
// sqrt(sum of partials)); most = 1.01 * norm, or own where norm is 0: no update came before. norm' = min(own, most);
// factor = (f * coefficient) * (own > most ? most / own : 1). When update.skipped norm stays, and the factor is 0.
// Sums: lane i of 64 adds elements i, i + 64, ... in order, from 0; then neighbours, then pairs of them. Each operation
// is one f32 rounding. operands: partials (any) f32, sums (2, channels) f32|-, update (16) u32, abi UpdateScalars,
// factor (1) f32, norm (any) f32, in place, of which the element `at` is this tensor's.
#ifndef TANDEM_ABI_APOLLO_LIMIT_H
#define TANDEM_ABI_APOLLO_LIMIT_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct ApolloLimit {
  uint32_t partials;
  uint32_t channels;  // sums has so many; 0: there are none
  uint32_t at;
};

TANDEM_ABI_END(ApolloLimit)
#endif
