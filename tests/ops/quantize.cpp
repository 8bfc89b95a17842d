// Reference: scale and codes by search, independent of core/abi/numeric.h.
#include "core/abi/quantize.h"
#include "tests/support/e4m3_nearest.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

// the largest k with amax * 2^k <= 448
int scale_exponent_by_search(uint32_t amax) {
  const float value = abi::bits_float(amax);
  if (value == 0 || !std::isfinite(value)) return 0;
  int k = 63;
  while (k > -63 && std::ldexp(double(value), k) > 448) --k;
  return k;
}

void reference(const abi::Quantize& p, Operands o) {
  const uint32_t amax = o[1].u32(0);
  const bool poisoned = amax >= 0x7f800000u;
  const int k = scale_exponent_by_search(amax);
  for (uint64_t r = 0; r < p.rows; ++r)
    for (uint64_t c = 0; c < p.columns; ++c) {
      const uint32_t code = poisoned ? 0x7f : e4m3_nearest(std::ldexp(o[0].get(r * p.columns + c), k));
      if (p.has_q) o[2].set_bits(r * p.columns + c, code);
      if (p.has_qt) o[3].set_bits(c * p.rows + r, code);
    }
  o[4].set(0, poisoned ? double(NAN) : std::ldexp(1.0, -k));
}

void cases(Cases& cases) {
  const Prepare own_amax = [](Operands inputs) { update_amax(inputs[0], inputs[1]); };
  for (Shape shape : {Shape{16, 16}, Shape{48, 80}, Shape{112, 208}, Shape{272, 144}})
    for (auto [q, qt] : {std::pair<uint32_t, uint32_t>{1, 1}, {1, 0}, {0, 1}})
      cases
          .add(fmt::format("{} q {} qt {}", shape, q, qt), abi::Quantize{0, 0, q, qt},
               {in(DType::bf16, shape), zero_amax()})
          .with(own_amax);
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
