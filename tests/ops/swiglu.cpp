// Reference: f64, rounded once; amax of the rounded values. Source: Shazeer 2020 (arXiv 2002.05202).
#include "core/abi/swiglu.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::Swiglu& p, Operands o) {
  for (uint64_t r = 0; r < p.rows; ++r)
    for (uint64_t c = 0; c < p.columns; ++c) {
      const double gate = o[0].get(2 * r * p.columns + c), up = o[0].get((2 * r + 1) * p.columns + c);
      o[1].set(r * p.columns + c, gate / (1 + std::exp(-gate)) * up);
    }
  if (p.has_amax) update_amax(o[1], o[2]);
}

void cases(Cases& cases) {
  const abi::Swiglu p{};
  for (DType dtype : kFloats) {
    for (Shape shape : {Shape{1, 16}, Shape{37, 160}, Shape{9, 2 * 1368}})
      for (bool amax : {false, true}) {
        std::vector<Input> inputs = {in(dtype, shape, normal(4))};
        if (amax) inputs.push_back(zero_amax());
        cases.add(fmt::format("{} {}{}", name_of(dtype), shape, amax ? " amax" : ""), p, inputs);
      }
    cases.add(fmt::format("{} odd rows", name_of(dtype)), p, {in(dtype, {13, 64}, odd_rows()), zero_amax()});
    cases.add(fmt::format("{} far gates", name_of(dtype)), p,
              {in(dtype, {1, 32}, put(normal(), {{0, -60}, {1, -87}, {2, -500}, {3, 60}, {4, 500}, {5, -INFINITY}}))});
  }
}

}  // namespace

OP_CASES(swiglu, abi::Swiglu)

}  // namespace tandem::test
