// Reference: f64 sums, rounded once.
#include "core/abi/rms_norm_backward.h"
#include "tests/ops/rstd_of.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::RmsNormBackward& p, Operands o) {
  const Tensor &dy = o[0], &dsum = o[1], &s = o[2], &weight = o[3], &rstd = o[4];
  for (uint64_t r = 0; r < p.rows; ++r) {
    const uint64_t row = r * p.columns;
    double mean = 0;
    for (uint64_t c = 0; c < p.columns; ++c) mean += dy.get(row + c) * weight.get(c) * s.get(row + c);
    mean /= p.columns;
    const double k = rstd.get(r);
    for (uint64_t c = 0; c < p.columns; ++c) {
      const double w = dy.get(row + c) * weight.get(c);
      const double dx = k * (w - s.get(row + c) * k * k * mean);
      o[5].set(row + c, (p.has_dsum ? dsum.get(row + c) : 0) + dx);
    }
  }
  if (p.has_amax) update_amax(o[5], o[6]);
}

void cases(Cases& cases) {
  const abi::RmsNormBackward p{};
  const Prepare prepare = [](Operands inputs) { set_rstd(inputs[2], inputs[4]); };
  for (DType dtype : kFloats) {
    for (Shape shape : {Shape{1, 8}, Shape{37, 80}, Shape{50, 896}, Shape{3, 5120}})
      for (bool dsum : {false, true})
        for (bool amax : {false, true}) {
          std::vector<Input> inputs = {in(dtype, shape), dsum ? in(dtype, shape) : absent(), in(dtype, shape),
                                       in(dtype, {shape[1]}), in(DType::f32, {shape[0]})};
          if (amax) inputs.push_back(zero_amax());
          cases
              .add(fmt::format("{} {}{}{}", name_of(dtype), shape, dsum ? " dsum" : "", amax ? " amax" : ""), p, inputs)
              .with(prepare);
        }
    for (Shape shape : {Shape{5, 1536}, Shape{3, 3000}, Shape{2, 8456}})
      cases
          .add(fmt::format("{} {} dsum amax", name_of(dtype), shape), p,
               {in(dtype, shape), in(dtype, shape), in(dtype, shape), in(dtype, {shape[1]}), in(DType::f32, {shape[0]}),
                zero_amax()})
          .with(prepare);
    cases
        .add(fmt::format("{} odd rows", name_of(dtype)), p,
             {in(dtype, {13, 64}), absent(), in(dtype, {13, 64}, odd_rows()), in(dtype, {64}), in(DType::f32, {13})})
        .with(prepare);
    cases
        .add(fmt::format("{} odd dy", name_of(dtype)), p,
             {in(dtype, {13, 64}, odd_rows()), absent(), in(dtype, {13, 64}), in(dtype, {64}), in(DType::f32, {13})})
        .with(prepare);
  }
}

}  // namespace

OP_CASES(rms_norm_backward, abi::RmsNormBackward)

}  // namespace tandem::test
