// random_signs: the signs of the projection P (rank, size) of APOLLO and GaLore (Zhu et al. 2024, arXiv 2412.05270;
// Zhao et al. 2024, arXiv 2403.03507): +1, or -1 where the lowest bit is set of word e mod 4 of philox(seed; e div 4,
// tensor, turn, 5), e = row * size + column of P, turn = (updates - 1) div every. Columns from true_size on, which meet
// padding, are zeros. operands: update (16) u32, abi UpdateScalars; signs (rank, size) or, transposed, (size, rank).
#ifndef TANDEM_ABI_RANDOM_SIGNS_H
#define TANDEM_ABI_RANDOM_SIGNS_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct RandomSigns {
  uint32_t rank;
  uint32_t size, true_size;
  uint32_t tensor;
  uint32_t every;       // updates with the same signs
  uint32_t transposed;  // 0 or 1
  uint32_t wide;        // signs are f32, else bf16
};

TANDEM_ABI_END(RandomSigns)
#endif
