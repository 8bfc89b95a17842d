// Reference: one rounding.
#include "core/abi/add.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::Add& p, Operands o) {
  for (uint64_t i = 0; i < p.count; ++i) o[2].set(i, o[0].get(i) + o[1].get(i));
}

void cases(Cases& cases) {
  const abi::Add p{};
  for (DType dtype : kFloats) {
    for (Shape shape : {Shape{8}, Shape{37, 80}, Shape{300, 136}, Shape{1000}})
      cases.add(fmt::format("{} {}", name_of(dtype), shape), p, {in(dtype, shape), in(dtype, shape)});
    cases.add(fmt::format("{} odd rows", name_of(dtype)), p, {in(dtype, {13, 64}, odd_rows()), in(dtype, {13, 64})});
    cases.add(fmt::format("{} overflow and inf - inf", name_of(dtype)), p,
              {in(dtype, {8}, put(normal(), {{0, 3e38}, {1, INFINITY}, {2, INFINITY}})),
               in(dtype, {8}, put(normal(), {{0, 3e38}, {1, -INFINITY}, {2, 1}}))});
  }
}

}  // namespace

OP_CASES(add, abi::Add)

}  // namespace tandem::test
