// Reference: scale and codes by search (tests/support/quantized.h).
#include "core/abi/quantize.h"
#include "tests/support/quantized.h"

namespace tandem::test {
namespace {

void reference(const abi::Quantize&, Operands o) {
  const ReferenceScale scale(o[1].u32(0));
  reference_codes(o[0], scale, o[2], o[3]);
  o[4].set(0, scale.of_codes());
}

void cases(Cases& cases) {
  const Prepare own_amax = [](Operands inputs) { update_amax(inputs[0], inputs[1]); };
  for (Shape shape : {Shape{16, 16}, Shape{48, 80}, Shape{112, 208}, Shape{272, 144}})
    for (auto [q, qt] : {std::pair<uint32_t, uint32_t>{1, 1}, {1, 0}, {0, 1}})
      cases
          .add(fmt::format("{} q {} qt {}", shape, q, qt), abi::Quantize{0, 0, q, qt},
               {in(DType::bf16, shape), zero_amax()})
          .with(own_amax);
  for (auto [q, qt] : {std::pair<uint32_t, uint32_t>{1, 1}, {1, 0}, {0, 1}}) {
    const auto onto = [](bool has, Shape shape) { return has ? in(DType::e4m3, shape, codes()) : absent(); };
    cases
        .add(fmt::format("in place of q {} qt {}", q, qt), abi::Quantize{0, 0, q, qt},
             {in(DType::bf16, {32, 48}), zero_amax(), onto(q != 0, {32, 48}), onto(qt != 0, {48, 32}),
              in(DType::f32, {1})})
        .with(own_amax);
  }
  const abi::Quantize both{0, 0, 1, 1};
  const std::vector<std::pair<const char*, Filler>> fills = {
      {"zeros", zeros()},
      {"f32 subnormals", constant(1e-40)},
      {"tiny", normal(1e-30)},
      {"large", normal(1e36)},
      {"largest", constant(-3e38)},
      {"every exponent",
       [](Tensor& x, Random& random) {
         for (uint64_t i = 0; i < x.size(); ++i) x.set(i, std::ldexp(random.normal(), int(random.below(40)) - 30));
       }},
      {"448", put(normal(), {{7, 448}})},
      {"ties",
       [](Tensor& x, Random&) {
         for (uint64_t i = 0; i < x.size(); ++i) x.set(i, double(i) / 16 * (i % 2 ? 1 : -1));
       }},
      {"NaN poisons", put(normal(), {{7, NAN}})},
      {"inf poisons", put(normal(), {{7, -INFINITY}})},
  };
  for (const auto& [what, fill] : fills)
    cases.add(what, both, {in(DType::bf16, {16, 32}, fill), zero_amax()}).with(own_amax);
  cases.add("saturates under a guessed amax", both,
            {in(DType::bf16, {16, 32}, put(normal(), {{3, INFINITY}, {4, NAN}})),
             in(DType::u32, {64}, words({0x3f000000u}))});
}

}  // namespace

OP_CASES(quantize, abi::Quantize)

}  // namespace tandem::test
