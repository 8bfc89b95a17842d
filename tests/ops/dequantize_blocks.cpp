// Reference: a code's number, as tests/support has it, times 2^(127 - scale byte).
#include "core/abi/dequantize_blocks.h"
#include "tests/ops/code_reference.h"

namespace tandem::test {
namespace {

void reference(const abi::DequantizeBlocks& p, Operands o) {
  const uint64_t blocks = (p.columns + kBlock - 1) / kBlock;
  uint64_t from = 0;
  if (o[2].present()) from = ((o[2].u32(0) - 1) % 2 * p.micro_steps + o[2].u32(1)) * p.rows;
  for (uint64_t row = 0; row < p.rows; ++row)
    for (uint64_t c = 0; c < p.columns; ++c) {
      const int k = int(o[1].bits((from + row) * blocks + c / kBlock)) - 127;
      o[3].set(row * p.columns + c, std::ldexp(o[0].get((from + row) * p.columns + c), -k));
    }
}

Filler every_code() {
  return [](Tensor& x, Random&) {
    for (uint64_t i = 0; i < x.size(); ++i) x.set_bits(i, uint32_t(i * 37 % 256));
  };
}

void cases(Cases& cases) {
  const Filler scales = integers(127 - 63, 127 + 63);
  for (const uint32_t to_f32 : {0u, 1u}) {
    const abi::DequantizeBlocks p{.to_f32 = to_f32};
    const char* to = to_f32 ? "f32" : "bf16";
    for (const Shape& shape : {Shape{1, 8}, Shape{5, 24}, Shape{3, 128}, Shape{37, 136}, Shape{260, 896}})
      cases.add(
          fmt::format("{} {}", to, shape), p,
          {in(DType::e4m3, shape, every_code()), in(DType::u8, {shape[0], (shape[1] + 127) / 128}, scales), absent()});
    for (const auto& [begins, micro_step] : {std::pair<uint32_t, uint32_t>{1, 0}, {2, 0}, {3, 2}, {6, 1}})
      cases.add(fmt::format("{} {} begins, micro-step {}", to, begins, micro_step), p,
                {in(DType::e4m3, {2, 3, 9, 264}, codes()), in(DType::u8, {2, 3, 9, 3}, scales),
                 in(DType::i32, {16}, words({begins, micro_step}))});
  }
}

}  // namespace

OP_CASES(dequantize_blocks, abi::DequantizeBlocks)

}  // namespace tandem::test
