// Reference: the largest word.
#include "core/abi/rank_max.h"

#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::RankMax& p, Operands o) {
  for (uint64_t i = 0; i < p.count; ++i) {
    uint32_t largest = 0;
    for (uint64_t r = 0; r < p.ranks; ++r) largest = std::max(largest, o[0].u32(r * p.count + i));
    o[1].set_bits(i, largest);
  }
}

void cases(Cases& cases) {
  const Filler any_words = [](Tensor& x, Random& random) {
    for (uint64_t i = 0; i < x.size(); ++i) x.set_bits(i, uint32_t(random.next()));
  };
  for (uint64_t ranks = 1; ranks <= 9; ++ranks)
    for (uint64_t count : {64, 1028})
      cases.add(fmt::format("{} ranks, {} words", ranks, count), abi::RankMax{},
                {in(DType::u32, {ranks, count}, any_words)});
  cases.add("three axes", abi::RankMax{}, {in(DType::u32, {3, 17, 64}, any_words)});
  cases.add(
      "NaN wins over inf, and both over numbers", abi::RankMax{},
      {in(DType::u32, {2, 4}, words({0x7f800000u, 0x3f800000u, 0x7f800000u, 0, 0x7fc00000u, 0x7f800000u, 1, 0}))});
}

}  // namespace

OP_CASES(rank_max, abi::RankMax)

}  // namespace tandem::test
