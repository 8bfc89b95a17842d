// dequantize_blocks: x = code * 2^-k, exactly, of what quantize_blocks makes. With a counter the codes are those of all
// micro-steps of two steps, as load_micro_step's inputs are: slot = (counter[0] - 1) & 1, micro-step = counter[1].
// operands: codes (rows, columns) or (2, micro_steps, rows, columns) e4m3, scales alike with state_blocks(columns) in
// place of columns, u8, counter (16) i32|-, x (rows, columns).
#ifndef TANDEM_ABI_DEQUANTIZE_BLOCKS_H
#define TANDEM_ABI_DEQUANTIZE_BLOCKS_H
#include "core/abi/state_codes.h"
TANDEM_ABI_BEGIN

struct DequantizeBlocks {
  uint32_t rows;
  uint32_t columns;      // multiple of 8
  uint32_t micro_steps;  // a step's; 1 without a counter
  uint32_t to_f32;       // x is f32, else bf16
};

TANDEM_ABI_END(DequantizeBlocks)
#endif
