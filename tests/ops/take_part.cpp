// Reference: the elements, rounded to nearest where y is narrower.
#include "core/abi/take_part.h"

#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::TakePart& p, Operands o) {
  for (uint64_t i = 0; i < o[1].size(); ++i) o[1].set(i, o[0].get(4 * uint64_t(p.first) + i));
}

void cases(Cases& cases) {
  struct Types {
    DType x;
    bool wide;
  };
  for (const Types& t : {Types{DType::f32, true}, Types{DType::f32, false}, Types{DType::bf16, false}}) {
    const auto add = [&](const char* what, const abi::TakePart& p, Shape whole, Filler filler = normal()) {
      cases.add(fmt::format("{} to {} {}", name_of(t.x), t.wide ? "f32" : "bf16", what), p, {in(t.x, whole, filler)});
    };
    abi::TakePart p{.rows = 24, .columns = 40, .wide = t.wide};
    add("whole", p, {24, 40}, put(normal(), {{3, double(NAN)}, {4, double(INFINITY)}, {5, 1e-38}}));
    p.first = 30;  // behind 3 rows
    add("a part", p, {31, 40});
    add("a part within packs", {.first = 3, .rows = 7, .columns = 4, .wide = t.wide}, {11, 4});
    add("large", {.rows = 1003, .columns = 72, .wide = t.wide}, {1003, 72});
  }
}

}  // namespace

OP_CASES(take_part, abi::TakePart)

}  // namespace tandem::test
