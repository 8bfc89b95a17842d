// Reference: the largest bit pattern without its sign.
#include "core/abi/amax.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::Amax&, Operands o) {
  update_amax(o[0], o[1]);
}

void cases(Cases& cases) {
  const abi::Amax p{};
  for (DType dtype : kFloats) {
    for (uint64_t count : {8, 80, 1003, 70000})
      cases.add(fmt::format("{} {}", name_of(dtype), count), p, {in(dtype, {count}), zero_amax()});
    const std::vector<std::pair<const char*, Filler>> fills = {
        {"zeros", zeros()},
        {"minus zero", constant(-0.0)},
        {"subnormal", constant(-1e-40)},
        {"largest", put(normal(), {{77, -3e38}})},
        {"inf", put(normal(), {{77, -INFINITY}})},
        {"NaN over inf", put(normal(), {{3, INFINITY}, {77, NAN}})},
        {"last element", put(normal(), {{135, 1e9}})},
    };
    for (const auto& [what, fill] : fills)
      cases.add(fmt::format("{} {}", name_of(dtype), what), p, {in(dtype, {17, 8}, fill), zero_amax()});
    cases.add(fmt::format("{} below what stands there", name_of(dtype)), p,
              {in(dtype, {40}), in(DType::u32, {64}, words({0x7f000000u, 5, 6}))});
  }
}

}  // namespace

OP_CASES(amax, abi::Amax)

}  // namespace tandem::test
