// Reference: scale and codes by search in f64 (tests/support/quantized.h), a block at a time.
#include "core/abi/quantize_blocks.h"
#include "tests/ops/code_reference.h"
#include "tests/support/quantized.h"

namespace tandem::test {
namespace {

void quantize_block(Operands o, uint64_t block, uint64_t first, uint64_t count) {
  bool poisoned = false;
  double amax = 0;
  for (uint64_t i = first; i < first + count; ++i) {
    poisoned = poisoned || !std::isfinite(o[0].get(i));
    amax = std::max(amax, std::abs(o[0].get(i)));
  }
  const int k = poisoned ? 0 : exponent_of_scale(kFirst, amax);
  o[2].set_bits(block, uint32_t(k + 127));
  for (uint64_t i = first; i < first + count; ++i)
    o[1].set_bits(i, poisoned ? 0x7f : e4m3_nearest(std::ldexp(o[0].get(i), k)));
}

void reference(const abi::QuantizeBlocks& p, Operands o) {
  const uint64_t blocks = (p.columns + kBlock - 1) / kBlock;
  for (uint64_t row = 0; row < p.rows; ++row)
    for (uint64_t j = 0; j < blocks; ++j)
      quantize_block(o, row * blocks + j, row * p.columns + j * kBlock,
                     std::min<uint64_t>(kBlock, p.columns - j * kBlock));
}

Filler every_exponent() {
  return [](Tensor& x, Random& random) {
    for (uint64_t i = 0; i < x.size(); ++i) x.set(i, std::ldexp(random.normal(), int(i / 128 % 250) - 125));
  };
}
Filler ties() {
  return [](Tensor& x, Random&) {
    for (uint64_t i = 0; i < x.size(); ++i) x.set(i, double(i % 128) / 16 * (i % 2 ? 1 : -1));
  };
}

void cases(Cases& cases) {
  const std::vector<std::pair<const char*, Filler>> fills = {
      {"zeros", zeros()},
      {"f32 subnormals", constant(1e-40)},
      {"largest", constant(-3e38)},
      {"every exponent", every_exponent()},
      {"ties", ties()},
      {"hostile", hostile()},
      {"a NaN poisons its block", put(normal(), {{131, NAN}})},
      {"an inf poisons its block", put(normal(), {{300, -INFINITY}})}};
  for (const DType dtype : kFloats) {
    for (const Shape& shape :
         {Shape{1, 8}, Shape{5, 24}, Shape{3, 128}, Shape{37, 136}, Shape{2, 3584}, Shape{260, 896}})
      cases.add(fmt::format("{} {}", name_of(dtype), shape), abi::QuantizeBlocks{}, {in(dtype, shape)});
    for (const auto& [what, fill] : fills)
      cases.add(fmt::format("{} {}", name_of(dtype), what), abi::QuantizeBlocks{}, {in(dtype, {63, 520}, fill)});
  }
}

}  // namespace

OP_CASES(quantize_blocks, abi::QuantizeBlocks)

}  // namespace tandem::test
