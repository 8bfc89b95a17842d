// Reference: f64 sums in token order, then one add into g.
#include "core/abi/embedding_backward.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::EmbeddingBackward& p, Operands o) {
  std::vector<double> sum(uint64_t(p.vocabulary) * p.columns);
  std::vector<bool> named(p.vocabulary);
  for (uint64_t r = 0; r < p.rows; ++r) {
    const int32_t token = o[0].i32(r);
    if (token < 0 || uint32_t(token) >= p.vocabulary) continue;
    named[size_t(token)] = true;
    for (uint64_t c = 0; c < p.columns; ++c) sum[uint64_t(token) * p.columns + c] += o[1].get(r * p.columns + c);
  }
  for (uint64_t i = 0; i < sum.size(); ++i)
    if (named[i / p.columns]) o[2].set(i, o[2].get(i) + sum[i]);
}

void cases(Cases& cases) {
  const abi::EmbeddingBackward p{};
  for (DType dtype : kFloats)
    for (DType gradient : kFloats) {
      if (dtype == DType::f32 && gradient == DType::bf16) continue;
      const std::string name = fmt::format("{} into {}", name_of(dtype), name_of(gradient));
      for (auto [rows, vocabulary] : {std::pair<uint64_t, int>{1, 3}, {300, 257}, {300, 5}})
        cases.add(fmt::format("{} {} rows of {}", name, rows, vocabulary), p,
                  {in(DType::i32, {rows}, integers(0, vocabulary)), in(dtype, {rows, 72}),
                   in(gradient, {uint64_t(vocabulary), 72})});
      // more rows of a token than a kernel may list at once, more columns than a block may take
      cases.add(name + " 2600 rows of 2", p,
                {in(DType::i32, {2600}, integers(0, 2)), in(dtype, {2600, 8}), in(gradient, {2, 8})});
      cases.add(name + " 1104 columns", p,
                {in(DType::i32, {9}, integers(0, 4)), in(dtype, {9, 1104}), in(gradient, {4, 1104})});
      cases.add(
          name + " one token", p,
          {in(DType::i32, {100}, words(std::vector<uint32_t>(100, 2))), in(dtype, {100, 8}), in(gradient, {4, 8})});
      cases.add(name + " one token, 2600 rows of 1024 columns", p,
                {in(DType::i32, {2600}, zeros()), in(dtype, {2600, 1024}), in(gradient, {1, 1024})});
      cases.add(name + " odd", p,
                {in(DType::i32, {8}, words({0, 1, 2, 3, 4, 5, uint32_t(-1), 9})), in(dtype, {8, 16}, odd_rows()),
                 in(gradient, {9, 16})});
    }
}

}  // namespace

OP_CASES(embedding_backward, abi::EmbeddingBackward)

}  // namespace tandem::test
