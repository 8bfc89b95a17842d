// Reference: a copy.
#include "core/abi/load_micro_step.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::LoadMicroStep& p, Operands o) {
  const uint64_t slot = (o[1].u32(0) - 1) & 1, first = (slot * p.micro_steps + o[1].u32(1)) * p.count;
  for (uint64_t i = 0; i < p.count; ++i) o[2].set_bits(i, o[0].u32(first + i));
}

void cases(Cases& cases) {
  for (auto [begins, micro_step] : {std::pair<uint32_t, uint32_t>{1, 0}, {2, 0}, {3, 2}, {6, 1}})
    for (uint64_t count : {1, 17, 1000})
      cases.add(
          fmt::format("{} begins, micro-step {}, {} tokens", begins, micro_step, count), abi::LoadMicroStep{},
          {in(DType::i32, {2, 3, count}, integers(-5, 1 << 20)), in(DType::i32, {16}, words({begins, micro_step}))});
}

}  // namespace

OP_CASES(load_micro_step, abi::LoadMicroStep)

}  // namespace tandem::test
