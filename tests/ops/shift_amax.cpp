// Reference: the formula in core/abi/shift_amax.h.
#include "core/abi/shift_amax.h"

#include "core/abi/amax.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::ShiftAmax& p, Operands o) {
  for (uint64_t slot = 0; slot < p.slots; ++slot) {
    o[0].set_bits(slot * 64 + 1, o[0].u32(slot * 64));
    o[0].set_bits(slot * 64, 0);
  }
}

void cases(Cases& cases) {
  for (uint64_t slots : {1, 5, 300})
    cases.add(fmt::format("{} slots", slots), abi::ShiftAmax{}, {in(DType::u32, {slots * abi::kAmaxWords}, codes())});
}

}  // namespace

OP_CASES(shift_amax, abi::ShiftAmax)

}  // namespace tandem::test
