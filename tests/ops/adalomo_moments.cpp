// Reference: f64, with pow for t^-0.8. Source: Lv et al. 2023 (arXiv 2310.10195); whole updates are held against
// lomo-optim's AdaLomo in tests/golden/adalomo.cpp.
#include "core/abi/adalomo_moments.h"

#include "core/abi/adalomo_squares.h"
#include "core/base/size.h"
#include "tests/ops/update_words.h"

namespace tandem::test {
namespace {

// A running mean moved by sums of the tiles, (tiles, count), each of `over` squares.
double moved(double moment, const Tensor& sums, uint64_t count, uint64_t i, double over, double t) {
  double sum = 0;
  for (uint64_t at = i; at < sums.size(); at += count) sum += sums.get(at);
  const double share = std::pow(t, -0.8);
  return (1 - share) * moment + share * (sum / over + 1e-30);
}

void reference(const abi::AdalomoMoments& p, Operands o) {
  const Tensor &column_sums = o[0], &update = o[1], &row_sums = o[2];
  Tensor &column_factors = o[3], &row_factors = o[4], &row_totals = o[5], &column = o[6], &row = o[7];
  const uint64_t words = uint64_t(p.update_row) * abi::kTensorWords;
  const bool skipped = update.u32(words + 4) != 0;
  const double t = update.u32(words + 9);
  for (uint64_t c = 0; c < p.columns; ++c) {
    const uint64_t at = p.first_column + c;
    if (!skipped) column.set(at, moved(column.get(at), column_sums, p.columns, c, p.true_rows, t));
    column_factors.set(c, 1 / std::sqrt(column.get(at)));
  }
  if (!row.present()) return;
  std::vector<double> totals(row_totals.size());
  for (uint64_t r = 0; r < p.rows; ++r) {
    const uint64_t at = p.first_row + r;
    if (!skipped) row.set(at, moved(row.get(at), row_sums, p.rows, r, p.true_columns, t));
    row_factors.set(r, 1 / std::sqrt(row.get(at)));
    if (r < p.true_rows) totals[r / 256] += row.get(at);
  }
  for (uint64_t i = 0; i < totals.size(); ++i) row_totals.set(i, totals[i]);
}

Filler squares(double scale = 1) {
  return [scale](Tensor& x, Random& random) {
    for (uint64_t i = 0; i < x.size(); ++i) x.set(i, scale * std::pow(random.normal(), 2));
  };
}

void cases(Cases& cases) {
  struct Sizes {
    uint32_t rows, columns, true_rows, true_columns;
  };
  const auto add = [&](const std::string& what, const Sizes& s, const Input& update, uint32_t update_row = 0,
                       Filler sums = squares(), Filler before = squares()) {
    const abi::AdalomoMoments p{.true_rows = s.true_rows,
                                .true_columns = s.true_columns,
                                .first_row = 3,
                                .first_column = 8,
                                .update_row = update_row};
    const auto tiles = [](uint32_t size, uint32_t tile) { return divide_up(size, uint64_t{tile}); };
    cases.add(fmt::format("({}, {}) of ({}, {}){}", s.true_rows, s.true_columns, s.rows, s.columns, what), p,
              {in(DType::f32, {tiles(s.rows, abi::kAdalomoTileRows), s.columns}, sums), update,
               in(DType::f32, {tiles(s.columns, abi::kAdalomoTileColumns), s.rows}, sums),
               in(DType::f32, {s.columns + 12}, before), in(DType::f32, {s.rows + 5}, before)});
  };
  const auto at_step = [](uint32_t t, uint32_t skipped = 0) { return update_words(skipped, 0.5, 0, t); };
  for (const Sizes& s : {Sizes{24, 40, 24, 40},
                         {1, 4, 1, 4},
                         {256, 256, 256, 256},
                         {257, 1032, 257, 1032},
                         {1003, 72, 1003, 72},
                         {16, 176, 13, 173},
                         {520, 8, 513, 5}})
    for (const uint32_t skipped : {0u, 1u}) add(skipped ? ", skipped" : "", s, at_step(12, skipped));
  for (const uint32_t t : {1u, 2u, 3u, 1000u, 1000000u}) add(fmt::format(", t = {}", t), {24, 40, 24, 40}, at_step(t));
  for (const uint32_t row : {0u, 2u})
    add(fmt::format(", tensor {} of 3, the last skipped", row), {24, 40, 24, 40}, update_words_of_segments(3, 4), row);
  add(", zeros at first", {24, 40, 24, 40}, at_step(1), 0, zeros(), zeros());
  add(", of small squares", {24, 40, 24, 40}, at_step(5), 0, squares(1e-27), squares(1e-29));
  for (const uint32_t columns : {4u, 256u, 1032u})
    cases.add(
        fmt::format("a vector of {}", columns),
        abi::AdalomoMoments{.true_rows = 1, .true_columns = columns, .first_column = 4},
        {in(DType::f32, {1, columns}, squares()), at_step(7), absent(), in(DType::f32, {columns + 8}, squares())});
}

}  // namespace

OP_CASES(adalomo_moments, abi::AdalomoMoments)

}  // namespace tandem::test
