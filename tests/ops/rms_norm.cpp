// Reference: f64 sums, rounded once. Sources: Zhang and Sennrich 2019 (arXiv 1910.07467); transformers' Qwen2RMSNorm.
#include "core/abi/rms_norm.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::RmsNorm& p, Operands o) {
  Tensor &sum = o[3], &y = o[4], &rstd = o[5];
  for (uint64_t r = 0; r < p.rows; ++r) {
    double squares = 0;
    for (uint64_t i = r * p.columns; i < (r + 1) * p.columns; ++i) {
      if (p.has_delta) sum.set(i, o[0].get(i) + o[1].get(i));
      const double s = (p.has_delta ? sum : o[0]).get(i);
      squares += s * s;
    }
    rstd.set(r, 1 / std::sqrt(squares / p.columns + double(p.epsilon)));
    for (uint64_t c = 0; c < p.columns; ++c) {
      const uint64_t i = r * p.columns + c;
      y.set(i, (p.has_delta ? sum : o[0]).get(i) * rstd.get(r) * o[2].get(c));
    }
  }
  if (p.has_amax) update_amax(y, o[6]);
}

void cases(Cases& cases) {
  abi::RmsNorm p{};
  p.epsilon = 1e-6f;
  for (DType dtype : kFloats) {
    for (Shape shape : {Shape{1, 8}, Shape{37, 80}, Shape{50, 896}, Shape{3, 5120}})
      for (bool delta : {false, true})
        for (bool amax : {false, true}) {
          std::vector<Input> inputs = {in(dtype, shape), delta ? in(dtype, shape) : absent(), in(dtype, {shape[1]})};
          if (amax) inputs.push_back(zero_amax());
          cases.add(fmt::format("{} {}{}{}", name_of(dtype), shape, delta ? " delta" : "", amax ? " amax" : ""), p,
                    inputs);
        }
    for (Shape shape : {Shape{5, 1536}, Shape{3, 3000}, Shape{2, 8456}})
      cases.add(fmt::format("{} {} delta amax", name_of(dtype), shape), p,
                {in(dtype, shape), in(dtype, shape), in(dtype, {shape[1]}), zero_amax()});
    cases.add(fmt::format("{} odd rows", name_of(dtype)), p,
              {in(dtype, {13, 64}, odd_rows()), absent(), in(dtype, {64})});
    cases.add(fmt::format("{} odd rows, delta, amax", name_of(dtype)), p,
              {in(dtype, {13, 64}, odd_rows()), in(dtype, {13, 64}), in(dtype, {64}), zero_amax()});
  }
}

}  // namespace

OP_CASES(rms_norm, abi::RmsNorm)

}  // namespace tandem::test
