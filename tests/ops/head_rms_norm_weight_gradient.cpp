// Reference: f64 sums over rows and heads, one add into each gradient.
#include "core/abi/head_rms_norm_weight_gradient.h"
#include "tests/ops/head_rstd_of.h"

namespace tandem::test {
namespace {

void reference(const abi::HeadRmsNormWeightGradient& p, Operands o) {
  const uint64_t heads = p.q_heads + 2 * p.kv_heads, normed = p.q_heads + p.kv_heads;
  for (uint64_t d = 0; d < p.head_dim; ++d) {
    double q = 0, k = 0;
    for (uint64_t row = 0; row < p.rows; ++row)
      for (uint64_t head = 0; head < normed; ++head) {
        const uint64_t i = (row * heads + head) * p.head_dim + d;
        (head < p.q_heads ? q : k) += o[0].get(i) * o[1].get(i) * o[2].get(row * normed + head);
      }
    o[3].set(d, o[3].get(d) + q);
    o[4].set(d, o[4].get(d) + k);
  }
}

void cases(Cases& cases) {
  for (DType dtype : kFloats)
    for (DType gradient : kFloats) {
      if (dtype == DType::f32 && gradient == DType::bf16) continue;
      for (const Heads& h : kHeads)
        for (uint64_t rows : {1, 19, 130}) {
          if (rows == 130 && h.width() > 200) continue;
          const abi::HeadRmsNormWeightGradient p{0, h.q, h.kv, h.dim};
          cases
              .add(fmt::format("{} into {} {} rows, {}", name_of(dtype), name_of(gradient), rows, h.text()), p,
                   {in(dtype, {rows, h.width()}), in(dtype, {rows, h.width()}),
                    in(DType::f32, {rows, uint64_t(h.q) + h.kv}), in(gradient, {h.dim}), in(gradient, {h.dim})})
              .with([h](Operands inputs) { set_head_rstd(h, inputs[1], inputs[2]); });
        }
    }
}

}  // namespace

OP_CASES(head_rms_norm_weight_gradient, abi::HeadRmsNormWeightGradient)

}  // namespace tandem::test
