// Reference: f64 sums of squares of f32 products.
#include "core/abi/adalomo_squares.h"

#include "tests/ops/update_words.h"

namespace tandem::test {
namespace {

void reference(const abi::AdalomoSquares& p, Operands o) {
  const Tensor &gradient = o[0], &update = o[1];
  Tensor &columns = o[2], &rows = o[3];
  const double coefficient = double(update.word_as_float(uint64_t(p.update_row) * abi::kTensorWords + 1));
  std::vector<double> column_sums(columns.size()), row_sums(rows.present() ? rows.size() : 0);
  for (uint64_t r = 0; r < p.rows; ++r)
    for (uint64_t c = 0; c < p.columns; ++c) {
      const double square = std::pow(coefficient * gradient.get(4 * uint64_t(p.first) + r * p.columns + c), 2);
      column_sums[r / 128 * p.columns + c] += square;
      if (rows.present()) row_sums[c / 256 * p.rows + r] += square;
    }
  for (uint64_t i = 0; i < column_sums.size(); ++i) columns.set(i, column_sums[i]);
  for (uint64_t i = 0; i < row_sums.size(); ++i) rows.set(i, row_sums[i]);
}

void cases(Cases& cases) {
  for (const DType dtype : kFloats) {
    const auto add = [&](const std::string& what, abi::AdalomoSquares p, Shape gradient, const Input& update,
                         Filler fill = normal()) {
      cases.add(fmt::format("{} ({}, {}){}", name_of(dtype), p.rows, p.columns, what), p,
                {in(dtype, gradient, std::move(fill)), update});
    };
    for (const auto& [rows, columns] :
         {std::pair{24u, 40u}, {1u, 4u}, {128u, 256u}, {129u, 260u}, {127u, 1028u}, {1003u, 72u}, {3u, 516u}})
      add("", {.rows = rows, .columns = columns, .by_row = 1}, {rows, columns}, update_words(0));
    for (const uint32_t columns : {4u, 256u, 1032u})
      add(", a vector", {.rows = 1, .columns = columns}, {columns}, update_words(0));
    add(", a part", {.first = 13, .rows = 13, .columns = 20, .by_row = 1}, {27, 20}, update_words(0));
    add(", a part of a vector", {.first = 2, .rows = 1, .columns = 24}, {40}, update_words(0));
    for (const uint32_t row : {0u, 2u})
      add(fmt::format(", tensor {} of 3", row),
          {.first = 35, .rows = 13, .columns = 20, .update_row = row, .by_row = 1}, {50, 20},
          update_words_of_segments(3, 0));
    add(", odd rows", {.rows = 24, .columns = 40, .by_row = 1}, {24, 40}, update_words(0), odd_rows());
    add(", zeros", {.rows = 24, .columns = 40, .by_row = 1}, {24, 40}, update_words(0), zeros());
  }
}

}  // namespace

OP_CASES(adalomo_squares, abi::AdalomoSquares)

}  // namespace tandem::test
