// Reference: the formula in core/abi/begin_step.h.
#include "core/abi/begin_step.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::BeginStep& p, Operands o) {
  Tensor &counter = o[1], &scalars = o[2];
  counter.set_bits(0, counter.u32(0) + 1);
  counter.set_bits(1, uint32_t(-1));
  const uint64_t slot = (counter.u32(0) - 1) & 1;
  for (uint64_t i = 0; i < p.words; ++i) scalars.set_bits(i, o[0].u32(slot * p.words + i));
}

void cases(Cases& cases) {
  for (uint32_t begins : {0, 1, 2, 12345})
    cases.add(fmt::format("{} begins", begins), abi::BeginStep{},
              {in(DType::u32, {2, 16}, integers(0, 1 << 30)), in(DType::i32, {16}, words({begins, 3, 9}))});
}

}  // namespace

OP_CASES(begin_step, abi::BeginStep)

}  // namespace tandem::test
