// x (rows, columns) f32 or bf16 -> codes (rows, columns) e4m3, scales (rows, state_blocks(columns)) u8
#include "core/abi/quantize_blocks.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("quantize_blocks", inputs, 1, 1);
  const Shape& x = in.matrix(0, "x", 8).shape;
  const abi::QuantizeBlocks p{.rows = u32(x[0]), .columns = u32(x[1])};
  parameters = Parameters(p);
  return {.outputs = {{DType::e4m3, x}, {DType::u8, {x[0], abi::state_blocks(p.columns)}}}};
}

// largest of a block, and codes
Cost cost(const Parameters&, Operands operands) {
  return {.flops = 2 * operands[0].shape.count(), .bytes = bytes_of(operands)};
}

}  // namespace

const Op quantize_blocks{.infer = infer, .cost = cost, .budget = always<Budget::exact>};

}  // namespace tandem::ops
