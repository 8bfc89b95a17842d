// Reference: the definition.
#include "core/abi/transpose.h"

#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::Transpose& p, Operands o) {
  for (uint64_t r = 0; r < p.rows; ++r)
    for (uint64_t c = 0; c < p.columns; ++c) o[1].set_bits(c * p.rows + r, o[0].bits(r * p.columns + c));
}

void cases(Cases& cases) {
  const Filler any_codes = [](Tensor& x, Random& random) {
    for (uint64_t i = 0; i < x.size(); ++i) x.set_bits(i, uint32_t(random.below(256)));
  };
  for (Shape shape : {Shape{16, 16}, Shape{48, 80}, Shape{112, 208}, Shape{128, 128}, Shape{272, 144}, Shape{16, 1040},
                      Shape{1040, 16}})
    cases.add(shape.text(), abi::Transpose{}, {in(DType::e4m3, shape, any_codes)});
}

}  // namespace

OP_CASES(transpose, abi::Transpose)

}  // namespace tandem::test
