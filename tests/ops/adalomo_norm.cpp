// Reference: f64 sums of squares, of the direction that the header says and of w.
#include "core/abi/adalomo_norm.h"

#include "tests/ops/update_words.h"

namespace tandem::test {
namespace {

void reference(const abi::AdalomoNorm& p, Operands o) {
  const Tensor &gradient = o[0], &update = o[1], &w = o[2], &column_factors = o[3], &row_factors = o[4],
               &row_totals = o[5];
  Tensor& partials = o[6];
  double total = 0;
  for (uint64_t i = 0; i < p.totals; ++i) total += row_totals.get(i);
  const double coefficient = double(update.word_as_float(uint64_t(p.update_row) * abi::kTensorWords + 1));
  const double root = p.totals > 0 ? std::sqrt(total / p.true_rows) : 1;
  const uint64_t count = uint64_t(p.rows) * p.columns, blocks = partials.size() / 2;
  std::vector<double> sums(partials.size());
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t at = 4 * uint64_t(p.first) + i;
    const double by_row = row_factors.present() ? row_factors.get(i / p.columns) * root : 1;
    sums[i / 16384] += std::pow(coefficient * gradient.get(at) * by_row * column_factors.get(i % p.columns), 2);
    sums[blocks + i / 16384] += std::pow(w.get(at), 2);
  }
  for (uint64_t i = 0; i < sums.size(); ++i) partials.set(i, sums[i]);
}

Filler squares() {
  return [](Tensor& x, Random& random) {
    for (uint64_t i = 0; i < x.size(); ++i) x.set(i, std::pow(random.normal(), 2));
  };
}

void cases(Cases& cases) {
  for (const DType gradient : kFloats)
    for (const DType w : kFloats) {
      const auto add = [&](const std::string& what, const abi::AdalomoNorm& p, Shape part, Shape whole,
                           const Input& update, uint64_t totals = 1) {
        const bool vector = whole.rank() == 1;
        cases.add(
            fmt::format("g {} w {} {}{}", name_of(gradient), name_of(w), part, what), p,
            {in(gradient, whole), update, in(w, whole), in(DType::f32, {part.back()}),
             vector ? absent() : in(DType::f32, {part[0]}), vector ? absent() : in(DType::f32, {totals}, squares())});
      };
      const auto whole = [&](Shape shape, uint64_t totals = 1) {
        add("", {.true_rows = uint32_t(shape.rows())}, shape, shape, update_words(0), totals);
      };
      whole({24, 40});
      whole({1, 4});
      whole({1003, 72}, 4);
      whole({256, 64});
      whole({3, 5464}, 300);
      whole({8});
      whole({1032});
      add(", without padding 13", {.first = 20, .true_rows = 13}, {16, 20}, {24, 20}, update_words(0));
      add(", a part", {.first = 2, .true_rows = 1}, {24}, {40}, update_words(0));
      add(", tensor 2 of 3", {.first = 65, .true_rows = 13, .update_row = 2}, {13, 20}, {27, 20},
          update_words_of_segments(3, 0));
    }
}

}  // namespace

OP_CASES(adalomo_norm, abi::AdalomoNorm)

}  // namespace tandem::test
