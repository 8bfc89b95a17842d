// muon_momentum_8bit: core/abi/muon_momentum.h with a momentum of codes (core/abi/state_codes.h), each operation one
// f32 rounding: m' = next_moment(momentum, 1 - momentum, m, g); u = nesterov ? next_moment(momentum, 1 - momentum, m',
// g) : m', to nearest. A block's scale follows its largest |m'|. m and its scales stay when update.skipped. Codes are
// rounded by word e mod 4 of philox(seed; e div 4, tensor, step, 1) for element e of the stored tensor, which begins at
// row first_row of gradient, m and m_scale. operands: gradient (any, columns), update (16) u32, abi UpdateScalars, u
// (rows, columns) bf16; in place m (as gradient) e4m3, m_scale (any, state_blocks(columns)) u8.
#ifndef TANDEM_ABI_MUON_MOMENTUM_8BIT_H
#define TANDEM_ABI_MUON_MOMENTUM_8BIT_H
#include "core/abi/state_codes.h"
TANDEM_ABI_BEGIN

struct MuonMomentum8bit {
  uint32_t first_row;
  uint32_t tensor;
  uint32_t rows;
  uint32_t columns;  // multiple of 4
  float momentum, one_minus_momentum;
  uint32_t nesterov;  // 0 or 1
};

TANDEM_ABI_END(MuonMomentum8bit)
#endif
