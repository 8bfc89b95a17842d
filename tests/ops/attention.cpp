// Reference: scores, maximum and sums in f64. Source: Vaswani et al. 2017 (arXiv 1706.03762); grouped heads: arXiv
// 2305.13245.
#include "core/abi/attention.h"
#include "tests/ops/attention_sizes.h"

namespace tandem::test {
namespace {

void attend(const abi::Attention& p, Operands o, uint64_t row, uint64_t head) {
  const Tensor& qkv = o[0];
  const uint64_t first = row - uint64_t(o[1].i32(row)), q = head_at(p, row, head), key = key_head(p, head);
  std::vector<double> score;
  double largest = -INFINITY;
  for (uint64_t j = first; j <= row; ++j) {
    score.push_back(double(p.scale) * dot(qkv, q, qkv, head_at(p, j, key), p.head_dim));
    if (!(score.back() <= largest)) largest = score.back();
  }
  double sum = 0;
  for (double& s : score) sum += s = std::exp(s - largest);
  for (uint64_t d = 0; d < p.head_dim; ++d) {
    double value = 0;
    for (uint64_t j = first; j <= row; ++j) value += score[j - first] * qkv.get(head_at(p, j, key + p.kv_heads) + d);
    o[2].set((row * p.q_heads + head) * p.head_dim + d, value / sum);
  }
  o[3].set((row / p.sequence_length * p.q_heads + head) * p.sequence_length + row % p.sequence_length,
           largest + std::log(sum));
}

void reference(const abi::Attention& p, Operands o) {
  for (uint64_t row = 0; row < uint64_t(p.batch) * p.sequence_length; ++row)
    for (uint64_t head = 0; head < p.q_heads; ++head) attend(p, o, row, head);
}

void odd_cases(Cases& cases, DType dtype) {
  const Heads h{2, 1, 16};
  const Sequences s{"odd", 2, 19, {11}};
  const abi::Attention p = attention_of(h, s);
  const Input where = in(DType::i32, {38}, positions(19, {11}));
  const uint64_t width = h.width(), key = 2 * 16, value = 3 * 16;
  const std::vector<std::pair<const char*, Filler>> fills = {
      {"zeros", zeros()},
      {"subnormal", constant(1e-40)},
      {"large scores", normal(30)},
      {"one huge", put(normal(), {{5 * width + key, 1e4}})},
      {"NaN in a query", put(normal(), {{5 * width + 3, NAN}})},
      {"NaN in a key", put(normal(), {{5 * width + key + 3, NAN}})},
      {"NaN in a value", put(normal(), {{5 * width + value + 3, NAN}})},
  };
  for (const auto& [what, fill] : fills)
    cases.add(fmt::format("{} {}", name_of(dtype), what), p, {in(dtype, {38, width}, fill), where});
}

void cases(Cases& cases) {
  for (DType dtype : kFloats) {
    for (const Heads& h : kHeads)
      for (const Sequences& s : kSequences)
        cases.add(fmt::format("{} {} {}", name_of(dtype), s.name, h.text()), attention_of(h, s),
                  {in(dtype, {s.batch * s.length, h.width()}),
                   in(DType::i32, {s.batch * s.length}, positions(s.length, s.starts))});
    odd_cases(cases, dtype);
  }
}

}  // namespace

OP_CASES(attention, abi::Attention)

}  // namespace tandem::test
