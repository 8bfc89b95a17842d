// Reference: f64 throughout. Source: z-loss from PaLM (arXiv 2204.02311), coefficient * lse^2.
#include "core/abi/cross_entropy.h"
#include "tests/support/op_case.h"

namespace tandem::test {
namespace {

void row(const abi::CrossEntropy& p, Operands o, uint64_t r) {
  Tensor& logits = o[2];
  const int32_t target = o[0].i32(r);
  const uint64_t first = r * p.columns;
  const double inverse_targets = o[1].word_as_float(1);
  double largest = -INFINITY, sum = 0;
  for (uint64_t v = 0; v < p.vocabulary; ++v)
    if (!(logits.get(first + v) <= largest)) largest = logits.get(first + v);
  for (uint64_t v = 0; v < p.vocabulary; ++v) sum += std::exp(logits.get(first + v) - largest);
  const double lse = largest + std::log(sum);
  const bool outside = target >= int64_t(p.vocabulary);
  if (target < 0) o[3].set(r, 0);
  else o[3].set(r, outside ? double(NAN) : lse - logits.get(first + uint64_t(target)));
  if (!p.write_gradient) return;
  for (uint64_t v = 0; v < p.columns; ++v) {
    double gradient = 0;
    if (target >= 0 && v < p.vocabulary) {
      const double softmax = std::exp(logits.get(first + v) - lse);
      gradient = (softmax * (1 + 2 * double(p.z_loss) * lse) - (v == uint64_t(target))) * inverse_targets;
      if (outside) gradient = NAN;
    }
    logits.set(first + v, gradient);
  }
}

void reference(const abi::CrossEntropy& p, Operands o) {
  for (uint64_t r = 0; r < p.rows; ++r) row(p, o, r);
}

void cases(Cases& cases) {
  const Input scalars = in(DType::u32, {16}, words({0, 0x3d000000u}));  // 1/N = 1/32
  for (DType dtype : kFloats)
    for (uint32_t gradient : {0, 1}) {
      const std::string name = fmt::format("{}{}", name_of(dtype), gradient ? " gradient" : "");
      for (auto [rows, vocabulary] :
           {std::pair<uint64_t, uint64_t>{1, 16}, {33, 257}, {7, 5000}, {3, 33000}, {2, 60001}})
        for (float z_loss : {0.0f, 1e-3f}) {
          if (z_loss != 0 && !gradient) continue;
          const uint64_t columns = (vocabulary + 15) / 16 * 16;
          cases.add(fmt::format("{} {} rows of {}, z {}", name, rows, vocabulary, z_loss),
                    abi::CrossEntropy{0, uint32_t(vocabulary), 0, gradient, z_loss},
                    {in(DType::i32, {rows}, integers(-1, int64_t(vocabulary))), scalars,
                     in(dtype, {rows, columns}, normal(3))});
        }
      const abi::CrossEntropy p{0, 61, 0, gradient, 1e-4f};
      const Input targets = in(DType::i32, {13}, integers(0, 61));
      cases.add(name + " all masked", p,
                {in(DType::i32, {13}, constant(-1)), scalars, in(dtype, {13, 64}, odd_rows(1e4))});
      cases.add(name + " target outside", p,
                {in(DType::i32, {13}, words({61, 64, 0x7fffffffu, 60})), scalars, in(dtype, {13, 64})});
      cases.add(name + " odd rows", p, {targets, scalars, in(dtype, {13, 64}, odd_rows(1e4))});
      cases.add(name + " equal logits", p, {targets, scalars, in(dtype, {13, 64}, constant(-7))});
      cases.add(name + " minus inf", p,
                {in(DType::i32, {2}, words({3, 4})), scalars, in(dtype, {2, 64}, put(normal(), {{5, -INFINITY}}))});
    }
}

}  // namespace

OP_CASES(cross_entropy, abi::CrossEntropy)

}  // namespace tandem::test
