// adamw_8bit: core/abi/adamw.h on a matrix whose moments are codes (core/abi/state_codes.h), each operation on them one
// f32 rounding. With g = gradient * coefficient: m' = beta1 m + (1 - beta1) g; v' = beta2 v + (1 - beta2) g^2; p (or
// the master) is updated from m' and v' before they become codes. A block's scale follows its largest |m'| or v'.
// Nothing changes when update.skipped. Codes of m are rounded by stream 1's words, of v by stream 2's, bf16 p without a
// master by stream 0's, which are found as adamw's are, as are the words of
// a segment. operands: gradient (rows, columns), update (16) or (segments, 64) u32, abi UpdateScalars; in place: p
// (rows, columns), m as p, e4m3, m_scale (rows, state_blocks(columns)) u8, v as p, e5m3, v_scale as m_scale, master as
// p, f32|-.
#ifndef TANDEM_ABI_ADAMW_8BIT_H
#define TANDEM_ABI_ADAMW_8BIT_H
#include "core/abi/segments.h"
#include "core/abi/state_codes.h"
TANDEM_ABI_BEGIN

struct Adamw8bit {
  uint32_t rows;
  uint32_t columns;  // multiple of 8
  float beta1, beta2;
  float one_minus_beta1, one_minus_beta2;
  float epsilon;
  float decay;
  uint32_t has_master;
  uint32_t by_segment;
  Segments segments;
};

TANDEM_ABI_END(Adamw8bit)
#endif
