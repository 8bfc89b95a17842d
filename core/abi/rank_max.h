// rank_max: y[i] = max over p of parts[p][i], as u32. operands: parts (ranks, count) u32, y (count) u32.
#ifndef TANDEM_ABI_RANK_MAX_H
#define TANDEM_ABI_RANK_MAX_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct RankMax {
  uint32_t count;  // multiple of 4
  uint32_t ranks;
};

TANDEM_ABI_END(RankMax)
#endif
