// Reference: f64.
#include "core/abi/adalomo_rate.h"

#include "tests/ops/update_words.h"

namespace tandem::test {
namespace {

void reference(const abi::AdalomoRate& p, Operands o) {
  const Tensor &partials = o[0], &update = o[1], &row_totals = o[2];
  double u = 0, w = 0, rows = 0;
  for (uint64_t i = 0; i < p.partials; ++i) u += partials.get(i), w += partials.get(p.partials + i);
  for (uint64_t i = 0; i < p.totals; ++i) rows += row_totals.get(i);
  const double learning_rate = double(update.word_as_float(uint64_t(p.update_row) * abi::kTensorWords));
  const double rate = learning_rate * std::max(1e-3, std::sqrt(w / p.count));
  o[3].set(0, rate);
  o[3].set(1, rate * (p.totals > 0 ? std::sqrt(rows / p.true_rows) : 1) / std::max(1.0, std::sqrt(u / p.count)));
}

// Partial sums of `of` squares each: of directions and of weights.
Filler sums(double directions, double weights) {
  return [=](Tensor& x, Random& random) {
    for (uint64_t i = 0; i < x.size(); ++i)
      x.set(i, (i < x.size() / 2 ? directions : weights) * (0.5 + random.uniform()));
  };
}

void cases(Cases& cases) {
  for (const uint32_t partials : {1u, 70u, 4200u})
    for (const uint32_t totals : {0u, 1u, 75u})
      for (const double direction : {0.3, 4.0})    // rms(u)^2: within 1, and above it
        for (const double weight : {1e-8, 0.1}) {  // rms(w)^2: below 1e-6, and above it
          const abi::AdalomoRate p{.count = partials * 16384 - 40, .true_rows = 173};
          cases.add(
              fmt::format("{} partials, {} totals, directions {}, weights {}", partials, totals, direction, weight), p,
              {in(DType::f32, {2, partials}, sums(16384 * direction, 16384 * weight)), update_words(0),
               totals > 0 ? in(DType::f32, {totals}, sums(0.1, 0.2)) : absent()});
        }
  cases.add("tensor 1 of 3", abi::AdalomoRate{.count = 260, .true_rows = 13, .update_row = 1},
            {in(DType::f32, {2, 1}, sums(900, 2)), update_words_of_segments(3, 0), in(DType::f32, {1}, sums(3, 3))});
  cases.add("zeros", abi::AdalomoRate{.count = 260, .true_rows = 13},
            {in(DType::f32, {2, 1}, zeros()), update_words(0), in(DType::f32, {1}, zeros())});
}

}  // namespace

OP_CASES(adalomo_rate, abi::AdalomoRate)

}  // namespace tandem::test
