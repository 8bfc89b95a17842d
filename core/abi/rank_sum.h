// rank_sum: what a reduce_scatter adds, once the parts of all ranks lie here. s = g[e] where accumulate is 1, else +0;
// then s += parts[p][e] for p = 0 ... ranks - 1, each an f32 addition; g[e] = s, as is in f32, in bf16 rounded
// stochastically with word e mod 4 of philox(seed; e div 4, tensor, step, 3 + 256 (k * ranks + r)): stream 3, e as
// segments.h counts it, k the micro-step counter[1] or 0 without by_micro_step, r the own rank or 0 without by_owner.
// operands: parts (ranks, count) f32|bf16, scalars (16) u32, abi StepScalars, counter (16) i32, g (count) f32|bf16, in
// place.
#ifndef TANDEM_ABI_RANK_SUM_H
#define TANDEM_ABI_RANK_SUM_H
#include "core/abi/segments.h"
TANDEM_ABI_BEGIN

struct RankSum {
  uint32_t count;  // multiple of 8
  uint32_t ranks;
  uint32_t accumulate;
  uint32_t by_micro_step;
  uint32_t by_owner;  // 0 for vectors, which every rank sums alike
  Segments segments;
};

TANDEM_FN uint32_t rank_sum_stream(RankSum p, int32_t micro_step, uint32_t rank) {
  const uint32_t k = p.by_micro_step != 0u ? uint32_t(micro_step) : 0u;
  const uint32_t r = p.by_owner != 0u ? rank : 0u;
  return 3u + 256u * (k * p.ranks + r);
}

TANDEM_ABI_END(RankSum)
#endif
