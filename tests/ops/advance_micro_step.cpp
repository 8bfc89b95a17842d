// Reference: the formula in core/abi/advance_micro_step.h.
#include "core/abi/advance_micro_step.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::AdvanceMicroStep&, Operands o) {
  o[0].set_bits(1, o[0].u32(1) + 1);
}

void cases(Cases& cases) {
  for (uint32_t before : {0xffffffffu, 0u, 7u})
    cases.add(fmt::format("from {}", before), abi::AdvanceMicroStep{},
              {in(DType::i32, {16}, words({4, before, 9, 9}))});
}

}  // namespace

OP_CASES(advance_micro_step, abi::AdvanceMicroStep)

}  // namespace tandem::test
