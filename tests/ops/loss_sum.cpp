// Reference: an f64 sum.
#include "core/abi/loss_sum.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::LossSum& p, Operands o) {
  double sum = 0;
  for (uint64_t i = 0; i < p.count; ++i) sum += o[0].get(i);
  o[1].set(0, o[1].get(0) + sum);
}

void cases(Cases& cases) {
  const abi::LossSum p{};
  for (uint64_t count : {1, 17, 256, 1000, 5003})
    cases.add(fmt::format("{}", count), p, {in(DType::f32, {count}, normal(1, 5)), in(DType::f32, {1}, constant(3.5))});
  cases.add("NaN", p, {in(DType::f32, {100}, put(normal(), {{99, NAN}})), in(DType::f32, {1})});
  cases.add("inf", p, {in(DType::f32, {100}, put(normal(), {{9, INFINITY}})), in(DType::f32, {1})});
  cases.add("zeros", p, {in(DType::f32, {100}, zeros()), in(DType::f32, {1}, zeros())});
}

}  // namespace

OP_CASES(loss_sum, abi::LossSum)

}  // namespace tandem::test
