// Muon's update alone, on gradients that are given: against torch.optim.Muon (tests/reference/muon.py), against the
// recurrence in f64, and parts of a stacked weight against the same matrices alone.
#include "tests/golden/updates.h"

namespace tandem::test {
namespace {

// What muon.py has.
constexpr uint32_t kSteps = 20;
constexpr double kRate = 2e-2;
OptimizerOptions options(bool nesterov, MuonScale scale) {
  OptimizerOptions o{.kind = OptimizerKind::muon, .grad_clip = 0, .nesterov = nesterov, .muon_scale = scale};
  o.momentum = 0.95;
  o.weight_decay = 0.1;
  return o;
}

// ---- in f64 ----

struct Matrix {
  uint64_t rows = 0, columns = 0;
  std::vector<double> at;

  double& operator()(uint64_t r, uint64_t c) { return at[r * columns + c]; }
  double operator()(uint64_t r, uint64_t c) const { return at[r * columns + c]; }
};

Matrix multiplied(const Matrix& a, const Matrix& b) {
  Matrix c{a.rows, b.columns, std::vector<double>(a.rows * b.columns)};
  for (uint64_t i = 0; i < c.rows; ++i)
    for (uint64_t j = 0; j < c.columns; ++j)
      for (uint64_t k = 0; k < a.columns; ++k) c(i, j) += a(i, k) * b(k, j);
  return c;
}

Matrix transposed(const Matrix& a) {
  Matrix t{a.columns, a.rows, std::vector<double>(a.at.size())};
  for (uint64_t i = 0; i < a.rows; ++i)
    for (uint64_t j = 0; j < a.columns; ++j) t(j, i) = a(i, j);
  return t;
}

// x / |x|, then five times 3.4445 x - 4.775 x x^T x + 2.0315 x x^T x x^T x
Matrix orthogonalized(Matrix x) {
  double norm = 0;
  for (double v : x.at) norm += v * v;
  for (double& v : x.at) v /= std::max(std::sqrt(norm), 1e-7);
  for (int step = 0; step < 5; ++step) {
    const Matrix cubed = multiplied(multiplied(x, transposed(x)), x),
                 fifth = multiplied(multiplied(x, transposed(x)), cubed);
    for (size_t i = 0; i < x.at.size(); ++i) x.at[i] = 3.4445 * x.at[i] - 4.775 * cubed.at[i] + 2.0315 * fifth.at[i];
  }
  return x;
}

// Jacobi's rotations of a symmetric matrix
std::vector<double> eigenvalues(Matrix a) {
  for (int sweep = 0; sweep < 30; ++sweep)
    for (uint64_t p = 0; p < a.rows; ++p)
      for (uint64_t q = p + 1; q < a.rows; ++q) {
        const double angle = 0.5 * std::atan2(2 * a(p, q), a(q, q) - a(p, p)), c = std::cos(angle), s = std::sin(angle);
        for (uint64_t k = 0; k < a.rows; ++k) {
          const double x = a(k, p), y = a(k, q);
          a(k, p) = c * x - s * y, a(k, q) = s * x + c * y;
        }
        for (uint64_t k = 0; k < a.rows; ++k) {
          const double x = a(p, k), y = a(q, k);
          a(p, k) = c * x - s * y, a(q, k) = s * x + c * y;
        }
      }
  std::vector<double> values;
  for (uint64_t i = 0; i < a.rows; ++i) values.push_back(a(i, i));
  return values;
}

// ---- against torch, and the recurrence ----

struct TorchCase {
  const char* name;
  OptimizerOptions options;
};
const TorchCase kTorchCases[] = {{"wide", options(true, MuonScale::match_rms_adamw)},
                                 {"tall", options(true, MuonScale::original)},
                                 {"plain", options(false, MuonScale::match_rms_adamw)}};

struct Recurrence {
  std::vector<float> direction, after;  // the first step's, the last one's
};

Recurrence recurrence(const UpdatesGolden& golden, const OptimizerOptions& o) {
  const double rows = double(golden.shape()[0]), columns = double(golden.shape()[1]);
  const double scale = o.muon_scale == MuonScale::original ? std::sqrt(std::max(1.0, rows / columns))
                                                           : 0.2 * std::sqrt(std::max(rows, columns));
  const std::vector<float> parameter = golden.floats("parameter");
  std::vector<double> p(parameter.begin(), parameter.end()), m(p.size());
  Recurrence r;
  for (uint32_t s = 0; s < kSteps; ++s) {
    const std::vector<float> g = golden.gradient(s);
    Matrix u{golden.shape()[0], golden.shape()[1], std::vector<double>(p.size())};
    for (size_t i = 0; i < p.size(); ++i) {
      m[i] = o.momentum * m[i] + (1 - o.momentum) * g[i];
      u.at[i] = o.nesterov ? o.momentum * m[i] + (1 - o.momentum) * g[i] : m[i];
    }
    const Matrix x = orthogonalized(u);
    if (s == 0) r.direction.assign(x.at.begin(), x.at.end());
    for (size_t i = 0; i < p.size(); ++i) p[i] -= kRate * o.weight_decay * p[i] + kRate * scale * x.at[i];
  }
  r.after.assign(p.begin(), p.end());
  return r;
}

// exact: how far from the recurrence, whose products no recipe but fp32 has
void check_torch(Backend& backend, Recipe recipe, double exact) {
  for (const TorchCase& one : kTorchCases) {
    CAPTURE(std::string(one.name));
    const UpdatesGolden golden("muon", one.name);
    const Precision precision{
        .recipe = recipe, .gradient = DType::f32, .m = DType::f32, .v = DType::f32, .master = recipe != Recipe::fp32};
    Updates updates(backend, one.options, precision, {stacked("w", {{.name = "w", .shape = golden.shape()}})});
    const std::string trained = precision.master ? "w.master" : "w";
    updates.write("w", golden.floats("parameter"));
    updates.write(trained, golden.floats("parameter"));
    const Recurrence f64 = recurrence(golden, one.options);
    for (uint32_t s = 0; s < kSteps; ++s) {
      updates.write("w.gradient", golden.gradient(s));
      updates.step(s, kRate);
      if (s > 0) continue;
      const std::vector<float> x = updates.values("w.direction");
      CHECK(nmse(x, golden.floats("direction")) < 1e-3);
      CHECK(nmse(x, f64.direction) < exact);
      Matrix matrix{golden.shape()[0], golden.shape()[1], {x.begin(), x.end()}};
      if (matrix.rows > matrix.columns) matrix = transposed(matrix);
      for (double square : eigenvalues(multiplied(matrix, transposed(matrix)))) {
        CHECK(square > 0.6 * 0.6);
        CHECK(square < 1.3 * 1.3);
      }
    }
    CHECK(nmse(updates.values(trained), golden.floats("after")) < 1e-3);
    CHECK(nmse(updates.values(trained), f64.after) < exact);
  }
}

ON_EXECUTORS("muon updates as torch's does, with products in f32,", check_torch, Recipe::fp32, 1e-9)
ON_EXECUTORS("muon updates as torch's does, with products in bf16,", check_torch, Recipe::bf16, 1e-3)

// ---- stacked and alone ----

void check_stacked(Backend& backend, bool in_8bit) {
  Precision precision{.recipe = Recipe::bf16};
  if (in_8bit) precision.m = DType::e4m3, precision.v = DType::e5m3;
  check_stacked_as_alone(backend, options(true, MuonScale::match_rms_adamw), precision, kRate);
}

ON_EXECUTORS("muon updates q, k and v stacked as it does each alone", check_stacked, false)
ON_EXECUTORS("muon updates q, k and v stacked as it does each alone, with 8-bit states,", check_stacked, true)

}  // namespace
}  // namespace tandem::test
