// Reference: f64 sums over rows, one add into g, rounded once.
#include "core/abi/rms_norm_weight_gradient.h"
#include "tests/ops/rstd_of.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::RmsNormWeightGradient& p, Operands o) {
  for (uint64_t c = 0; c < p.columns; ++c) {
    double sum = 0;
    for (uint64_t r = 0; r < p.rows; ++r)
      sum += o[0].get(r * p.columns + c) * o[1].get(r * p.columns + c) * o[2].get(r);
    o[3].set(c, o[3].get(c) + sum);
  }
}

void cases(Cases& cases) {
  const abi::RmsNormWeightGradient p{};
  const Prepare prepare = [](Operands inputs) { set_rstd(inputs[1], inputs[2]); };
  for (DType dtype : kFloats)
    for (DType gradient : kFloats) {
      if (dtype == DType::f32 && gradient == DType::bf16) continue;
      const std::string name = fmt::format("{} into {}", name_of(dtype), name_of(gradient));
      for (Shape shape : {Shape{1, 8}, Shape{37, 80}, Shape{300, 136}, Shape{700, 24}, Shape{2100, 8}, Shape{70, 600}})
        cases
            .add(fmt::format("{} {}", name, shape), p,
                 {in(dtype, shape), in(dtype, shape), in(DType::f32, {shape[0]}), in(gradient, {shape[1]})})
            .with(prepare);
      cases
          .add(name + " NaN and inf in columns", p,
               {in(dtype, {9, 16}, put(normal(), {{3, NAN}, {21, INFINITY}})), in(dtype, {9, 16}), in(DType::f32, {9}),
                in(gradient, {16})})
          .with(prepare);
      cases
          .add(name + " zeros", p,
               {in(dtype, {9, 16}, zeros()), in(dtype, {9, 16}), in(DType::f32, {9}), in(gradient, {16})})
          .with(prepare);
    }
}

}  // namespace

OP_CASES(rms_norm_weight_gradient, abi::RmsNormWeightGradient)

}  // namespace tandem::test
