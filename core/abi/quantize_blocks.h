// quantize_blocks: x as e4m3 codes, rounded to nearest even, in blocks of 128 columns of a row, each with a scale of
// its own (core/abi/state_codes.h): a scale byte is k + 127, with k = scale_exponent of the block's largest |x|, and a
// code is e4m3 of x * 2^k. In a block with an inf or a NaN k is 0 and every code NaN. operands: x (rows, columns),
// codes (rows, columns) e4m3, scales (rows, state_blocks(columns)) u8.
#ifndef TANDEM_ABI_QUANTIZE_BLOCKS_H
#define TANDEM_ABI_QUANTIZE_BLOCKS_H
#include "core/abi/state_codes.h"
TANDEM_ABI_BEGIN

struct QuantizeBlocks {
  uint32_t rows;
  uint32_t columns;  // multiple of 8
};

TANDEM_ABI_END(QuantizeBlocks)
#endif
