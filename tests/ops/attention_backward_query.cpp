// Reference: f64 throughout, with the forward pass's lse. Source: Dao et al. 2022 (arXiv 2205.14135), appendix B.
#include "tests/ops/attention_sizes.h"

namespace tandem::test {
namespace {

void reference(const abi::AttentionBackward& p, Operands o) {
  const Tensor &qkv = o[0], &dout = o[2];
  for (uint64_t row = 0; row < uint64_t(p.batch) * p.sequence_length; ++row)
    for (uint64_t head = 0; head < p.q_heads; ++head) {
      const uint64_t first = row - uint64_t(o[1].i32(row)), q = head_at(p, row, head), key = key_head(p, head);
      const uint64_t stat = (row / p.sequence_length * p.q_heads + head) * p.sequence_length + row % p.sequence_length;
      std::vector<double> dq(p.head_dim);
      for (uint64_t j = first; j <= row; ++j) {
        const uint64_t k = head_at(p, j, key), v = head_at(p, j, key + p.kv_heads);
        const double probability = std::exp(double(p.scale) * dot(qkv, q, qkv, k, p.head_dim) - o[3].get(stat));
        const double dp = dot(dout, (row * p.q_heads + head) * p.head_dim, qkv, v, p.head_dim);
        const double ds = probability * (dp - o[4].get(stat));
        for (uint64_t d = 0; d < p.head_dim; ++d) dq[d] += ds * qkv.get(k + d);
      }
      for (uint64_t d = 0; d < p.head_dim; ++d) o[5].set(q + d, double(p.scale) * dq[d]);
    }
}

void cases(Cases& cases) {
  add_attention_backward(cases, false);
}

}  // namespace

OP_CASES(attention_backward_query, abi::AttentionBackward)

}  // namespace tandem::test
