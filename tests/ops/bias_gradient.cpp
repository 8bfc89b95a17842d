// Reference: f64 sums over rows, one add into g.
#include "core/abi/bias_gradient.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::BiasGradient& p, Operands o) {
  for (uint64_t c = 0; c < p.columns; ++c) {
    double sum = 0;
    for (uint64_t r = 0; r < p.rows; ++r) sum += o[0].get(r * p.columns + c);
    o[1].set(c, o[1].get(c) + sum);
  }
}

void cases(Cases& cases) {
  const abi::BiasGradient p{};
  for (DType dtype : kFloats)
    for (DType gradient : kFloats) {
      if (dtype == DType::f32 && gradient == DType::bf16) continue;
      const std::string name = fmt::format("{} into {}", name_of(dtype), name_of(gradient));
      for (Shape shape : {Shape{1, 8}, Shape{37, 80}, Shape{700, 136}, Shape{5, 1152}, Shape{2100, 8}})
        cases.add(fmt::format("{} {}", name, shape), p, {in(dtype, shape), in(gradient, {shape[1]})});
      cases.add(name + " NaN and inf", p,
                {in(dtype, {9, 16}, put(normal(), {{3, NAN}, {21, INFINITY}, {6, 1e20}})), in(gradient, {16})});
      cases.add(name + " zeros", p, {in(dtype, {9, 16}, zeros()), in(gradient, {16}, zeros())});
    }
}

}  // namespace

OP_CASES(bias_gradient, abi::BiasGradient)

}  // namespace tandem::test
