// Reference: rows copied by their bits.
#include "core/abi/embedding.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void reference(const abi::Embedding& p, Operands o) {
  for (uint64_t r = 0; r < p.rows; ++r) {
    const int32_t token = o[0].i32(r);
    const bool known = token >= 0 && uint32_t(token) < p.vocabulary;
    for (uint64_t c = 0; c < p.columns; ++c) {
      if (known && !o[1].wide()) o[2].set_bits(r * p.columns + c, o[1].bits(uint64_t(token) * p.columns + c));
      else o[2].set(r * p.columns + c, known ? o[1].get(uint64_t(token) * p.columns + c) : NAN);
    }
  }
}

void cases(Cases& cases) {
  const abi::Embedding p{};
  for (DType dtype : kFloats) {
    for (uint64_t rows : {1, 5, 131})
      cases.add(fmt::format("{} {} rows", name_of(dtype), rows), p,
                {in(DType::i32, {rows}, integers(0, 257)), in(dtype, {257, 72})});
    cases.add(fmt::format("{} odd tokens and values", name_of(dtype)), p,
              {in(DType::i32, {6}, words({0, 6, uint32_t(-1), 7, 0x7fffffff, 3})), in(dtype, {7, 8}, odd_rows())});
  }
}

}  // namespace

OP_CASES(embedding, abi::Embedding)

}  // namespace tandem::test
