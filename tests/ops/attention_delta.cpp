// Reference: f64 sums over the head.
#include "core/abi/attention_delta.h"
#include "tests/ops/attention_sizes.h"

namespace tandem::test {
namespace {

void reference(const abi::AttentionDelta& p, Operands o) {
  for (uint64_t row = 0; row < uint64_t(p.batch) * p.sequence_length; ++row)
    for (uint64_t head = 0; head < p.q_heads; ++head) {
      const uint64_t i = (row * p.q_heads + head) * p.head_dim;
      o[2].set((row / p.sequence_length * p.q_heads + head) * p.sequence_length + row % p.sequence_length,
               dot(o[0], i, o[1], i, p.head_dim));
    }
}

void cases(Cases& cases) {
  for (DType dtype : kFloats)
    for (const Heads& h : kHeads)
      for (uint64_t length : {1, 17, 70}) {
        const abi::AttentionDelta p{0, uint32_t(length), h.q, h.dim};
        const Shape shape{2 * length, uint64_t(h.q) * h.dim};
        const std::string name = fmt::format("{} T = {} {}", name_of(dtype), length, h.text());
        cases.add(name, p, {in(dtype, shape), in(dtype, shape)});
        cases.add(name + " odd", p, {in(dtype, shape), in(dtype, shape, odd_rows())});
      }
}

}  // namespace

OP_CASES(attention_delta, abi::AttentionDelta)

}  // namespace tandem::test
