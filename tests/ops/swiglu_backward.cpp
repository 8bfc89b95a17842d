// Reference: f64, rounded once; amax of the rounded values.
#include "core/abi/swiglu_backward.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::SwigluBackward& p, Operands o) {
  for (uint64_t r = 0; r < p.rows; ++r)
    for (uint64_t c = 0; c < p.columns; ++c) {
      const uint64_t gate_at = 2 * r * p.columns + c, up_at = gate_at + p.columns;
      const double dy = o[0].get(r * p.columns + c), gate = o[1].get(gate_at), up = o[1].get(up_at);
      const double sigmoid = 1 / (1 + std::exp(-gate));
      o[2].set(gate_at, dy * up * (sigmoid * (1 + gate * (1 - sigmoid))));
      o[2].set(up_at, dy * (gate / (1 + std::exp(-gate))));
    }
  if (p.has_amax) update_amax(o[2], o[3]);
}

void cases(Cases& cases) {
  const abi::SwigluBackward p{};
  for (DType dtype : kFloats) {
    for (Shape shape : {Shape{1, 8}, Shape{37, 80}, Shape{9, 1368}})
      for (bool amax : {false, true}) {
        std::vector<Input> inputs = {in(dtype, shape), in(dtype, {shape[0], 2 * shape[1]}, normal(4))};
        if (amax) inputs.push_back(zero_amax());
        cases.add(fmt::format("{} {}{}", name_of(dtype), shape, amax ? " amax" : ""), p, inputs);
      }
    cases.add(fmt::format("{} odd rows", name_of(dtype)), p,
              {in(dtype, {13, 32}), in(dtype, {13, 64}, odd_rows()), zero_amax()});
    cases.add(fmt::format("{} odd dy", name_of(dtype)), p, {in(dtype, {13, 32}, odd_rows()), in(dtype, {13, 64})});
  }
}

}  // namespace

OP_CASES(swiglu_backward, abi::SwigluBackward)

}  // namespace tandem::test
