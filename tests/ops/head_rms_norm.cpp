// Reference: f64 sums, rounded once; value heads by their bits. Source: transformers' Qwen3Attention (q_norm, k_norm).
#include "core/abi/head_rms_norm.h"
#include "tests/ops/head_sizes.h"

namespace tandem::test {
namespace {

void reference(const abi::HeadRmsNorm& p, Operands o) {
  const Tensor& x = o[0];
  Tensor &y = o[3], &rstd = o[4];
  const uint64_t heads = p.q_heads + 2 * p.kv_heads, normed = p.q_heads + p.kv_heads;
  for (uint64_t h = 0; h < p.rows * heads; ++h) {
    const uint64_t row = h / heads, head = h % heads, first = h * p.head_dim;
    if (head >= normed) {
      for (uint64_t d = 0; d < p.head_dim; ++d) y.set(first + d, x.get(first + d));
      continue;
    }
    double squares = 0;
    for (uint64_t d = 0; d < p.head_dim; ++d) squares += x.get(first + d) * x.get(first + d);
    const uint64_t k = row * normed + head;
    rstd.set(k, 1 / std::sqrt(squares / p.head_dim + double(p.epsilon)));
    const Tensor& weight = head < p.q_heads ? o[1] : o[2];
    for (uint64_t d = 0; d < p.head_dim; ++d) y.set(first + d, x.get(first + d) * rstd.get(k) * weight.get(d));
  }
}

void cases(Cases& cases) {
  for (DType dtype : kFloats)
    for (const Heads& h : kHeads) {
      const abi::HeadRmsNorm p{0, h.q, h.kv, h.dim, 1e-6f};
      for (uint64_t rows : {1, 19})
        cases.add(fmt::format("{} {} rows, {}", name_of(dtype), rows, h.text()), p,
                  {in(dtype, {rows, h.width()}), in(dtype, {h.dim}), in(dtype, {h.dim})});
      cases.add(fmt::format("{} odd rows, {}", name_of(dtype), h.text()), p,
                {in(dtype, {7, h.width()}, odd_rows()), in(dtype, {h.dim}), in(dtype, {h.dim})});
    }
}

}  // namespace

OP_CASES(head_rms_norm, abi::HeadRmsNorm)

}  // namespace tandem::test
