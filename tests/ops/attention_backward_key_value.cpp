// Reference: f64 throughout, with the forward pass's lse. Source: Dao et al. 2022 (arXiv 2205.14135), appendix B.
#include "tests/ops/attention_sizes.h"

namespace tandem::test {
namespace {

// adds what query (row, head) gives to the gradients of its keys and values
void scatter(const abi::AttentionBackward& p, Operands o, uint64_t row, uint64_t head, std::vector<double>& sums) {
  const Tensor &qkv = o[0], &dout = o[2];
  const uint64_t first = row - uint64_t(o[1].i32(row)), q = head_at(p, row, head), key = key_head(p, head);
  const uint64_t stat = (row / p.sequence_length * p.q_heads + head) * p.sequence_length + row % p.sequence_length;
  const uint64_t out = (row * p.q_heads + head) * p.head_dim;
  for (uint64_t j = first; j <= row; ++j) {
    const uint64_t k = head_at(p, j, key), v = head_at(p, j, key + p.kv_heads);
    const double probability = std::exp(double(p.scale) * dot(qkv, q, qkv, k, p.head_dim) - o[3].get(stat));
    const double ds = probability * (dot(dout, out, qkv, v, p.head_dim) - o[4].get(stat));
    for (uint64_t d = 0; d < p.head_dim; ++d) {
      sums[k + d] += double(p.scale) * ds * qkv.get(q + d);
      sums[v + d] += probability * dout.get(out + d);
    }
  }
}

void reference(const abi::AttentionBackward& p, Operands o) {
  Tensor& dqkv = o[5];
  std::vector<double> sums(dqkv.size());
  const uint64_t rows = uint64_t(p.batch) * p.sequence_length;
  for (uint64_t row = 0; row < rows; ++row)
    for (uint64_t head = 0; head < p.q_heads; ++head) scatter(p, o, row, head, sums);
  for (uint64_t row = 0; row < rows; ++row)
    for (uint64_t i = head_at(p, row, p.q_heads); i < head_at(p, row + 1, 0); ++i) dqkv.set(i, sums[i]);
}

void cases(Cases& cases) {
  add_attention_backward(cases, true);
}

}  // namespace

OP_CASES(attention_backward_key_value, abi::AttentionBackward)

}  // namespace tandem::test
