// Reference: f64 sums of blocks of 65536.
#include "core/abi/square_sum.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::SquareSum& p, Operands o) {
  for (uint64_t block = 0; block < o[1].size(); ++block) {
    double sum = 0;
    const uint64_t begin = block * abi::kSquareSumBlock;
    for (uint64_t i = begin; i < std::min<uint64_t>(p.count, begin + abi::kSquareSumBlock); ++i)
      sum += o[0].get(p.first + i) * o[0].get(p.first + i);
    o[1].set(block, sum);
  }
}

void cases(Cases& cases) {
  const abi::SquareSum p{};
  for (DType dtype : kFloats) {
    for (uint64_t count : {8, 1000, 1003, 65536, 65537, 65544, 200008})
      cases.add(fmt::format("{} {}", name_of(dtype), count), p, {in(dtype, {count})});
    cases.add(fmt::format("{} rank 2", name_of(dtype)), p, {in(dtype, {300, 72})});
    for (const auto& [first, count] : {std::pair{0u, 8u}, {8u, 992u}, {264u, 1u}, {65536u, 70003u}, {8u, 65536u}})
      cases.add(fmt::format("{} {} from {} on", name_of(dtype), count, first),
                abi::SquareSum{.first = first, .part = count},
                {in(dtype, {140000}, put(normal(), {{first + count, NAN}}))});
    for (double value : {0.0, 1e-40, 1e15, double(NAN), double(INFINITY)})
      cases.add(fmt::format("{} with {}", name_of(dtype), value), p,
                {in(dtype, {70000}, put(constant(value == 0 || value == 1e-40 ? value : 1), {{69999, value}}))});
  }
}

}  // namespace

OP_CASES(square_sum, abi::SquareSum)

}  // namespace tandem::test
