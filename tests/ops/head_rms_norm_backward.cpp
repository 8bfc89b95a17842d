// Reference: f64 sums, rounded once; the value part by its bits.
#include "core/abi/head_rms_norm_backward.h"
#include "tests/ops/head_rstd_of.h"

namespace tandem::test {
namespace {

void reference(const abi::HeadRmsNormBackward& p, Operands o) {
  const Tensor &dy = o[0], &x = o[1], &rstd = o[4];
  Tensor& dx = o[5];
  const uint64_t heads = p.q_heads + 2 * p.kv_heads, normed = p.q_heads + p.kv_heads;
  for (uint64_t h = 0; h < p.rows * heads; ++h) {
    const uint64_t row = h / heads, head = h % heads, first = h * p.head_dim;
    if (head >= normed) {
      for (uint64_t d = 0; d < p.head_dim; ++d) dx.set(first + d, dy.get(first + d));
      continue;
    }
    const Tensor& weight = head < p.q_heads ? o[2] : o[3];
    const double k = rstd.get(row * normed + head);
    double mean = 0;
    for (uint64_t d = 0; d < p.head_dim; ++d) mean += dy.get(first + d) * weight.get(d) * x.get(first + d);
    mean /= p.head_dim;
    for (uint64_t d = 0; d < p.head_dim; ++d)
      dx.set(first + d, k * (dy.get(first + d) * weight.get(d) - x.get(first + d) * k * k * mean));
  }
}

void cases(Cases& cases) {
  for (DType dtype : kFloats)
    for (const Heads& h : kHeads)
      for (uint64_t rows : {1, 19, 7}) {
        const abi::HeadRmsNormBackward p{0, h.q, h.kv, h.dim};
        const Filler fill = rows == 7 ? odd_rows() : normal();
        cases
            .add(fmt::format("{} {}{} rows, {}", name_of(dtype), rows, rows == 7 ? " odd" : "", h.text()), p,
                 {in(dtype, {rows, h.width()}), in(dtype, {rows, h.width()}, fill), in(dtype, {h.dim}),
                  in(dtype, {h.dim}), in(DType::f32, {rows, uint64_t(h.q) + h.kv})})
            .with([h](Operands inputs) { set_head_rstd(h, inputs[1], inputs[4]); });
      }
}

}  // namespace

OP_CASES(head_rms_norm_backward, abi::HeadRmsNormBackward)

}  // namespace tandem::test
