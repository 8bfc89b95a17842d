// codes (rows, columns) e4m3, scales (rows, state_blocks(columns)) u8 -> x (rows, columns) f32 or bf16; with a counter
// (16) i32, codes and scales of (2, micro_steps) of these. The caller sets to_f32.
#include "core/abi/dequantize_blocks.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::DequantizeBlocks>();
  const Inputs in("dequantize_blocks", inputs, 3, 3);
  const bool counted = in.has(2);
  const Shape& codes = in[0].shape;
  require(codes.rank() == (counted ? 4u : 2u) && codes.back() % 8 == 0,
          "dequantize_blocks: codes are {}, expected {} axes, the last a multiple of 8", in[0], counted ? 4 : 2);
  p.rows = u32(codes[counted ? 2 : 0]);
  p.columns = u32(codes.back());
  p.micro_steps = counted ? u32(codes[1]) : 1;
  const uint64_t blocks = abi::state_blocks(p.columns);
  in.expect(0, "codes", {DType::e4m3, counted ? Shape{2, p.micro_steps, p.rows, p.columns} : codes});
  in.expect(1, "scales", {DType::u8, counted ? Shape{2, p.micro_steps, p.rows, blocks} : Shape{p.rows, blocks}});
  if (counted) in.expect(2, "counter", i32_desc({16}));
  parameters = Parameters(p);
  return {.outputs = {{p.to_f32 ? DType::f32 : DType::bf16, {p.rows, p.columns}}}};
}

// a micro-step's codes alone are read
Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::DequantizeBlocks>();
  const uint64_t rows = p.rows;
  return {.flops = rows * p.columns, .bytes = operands[3].bytes() + rows * (p.columns + abi::state_blocks(p.columns))};
}

}  // namespace

const Op dequantize_blocks{.infer = infer, .cost = cost, .budget = always<Budget::exact>};

}  // namespace tandem::ops
