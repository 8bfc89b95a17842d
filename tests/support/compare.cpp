#include "tests/support/compare.h"

#include <algorithm>

namespace tandem::test {
namespace {

// f32 subnormals may be flushed, and an ordinary factor may lift what was flushed: differences below this count for
// nothing
constexpr double kFlushed = 0x1p-100;

bool is_float(DType dtype) {
  return dtype == DType::f32 || dtype == DType::bf16;
}

std::string at(const Tensor& a, const Tensor& b, uint64_t i) {
  return fmt::format("element {} of {}: {} ({:#x}), reference {} ({:#x})", i, b.desc(), a.get(i), a.bits(i), b.get(i),
                     b.bits(i));
}

std::string exact_difference(const Tensor& a, const Tensor& b) {
  for (uint64_t i = 0; i < b.size(); ++i) {
    const bool both_nan = is_float(b.dtype()) && a.is_nan(i) && b.is_nan(i);
    if (a.bits(i) != b.bits(i) && !both_nan) return at(a, b, i);
  }
  return {};
}

std::string words_difference(const Tensor& a, const Tensor& b) {
  for (uint64_t i = 0; i < b.size(); ++i) {
    const float x = a.word_as_float(i), y = b.word_as_float(i);
    const bool close = std::isnormal(x) && std::isnormal(y) && std::abs(double(x) - y) <= 0x1p-21 * std::abs(y);
    const bool both_nan = std::isnan(x) && std::isnan(y);
    if (a.bits(i) != b.bits(i) && !close && !both_nan)
      return fmt::format("word {}: {:#x} ({}), reference {:#x} ({})", i, a.bits(i), x, b.bits(i), y);
  }
  return {};
}

// distance between neighbours of bf16 at this magnitude
double bf16_ulp(double magnitude) {
  int exponent = 0;
  std::frexp(std::max(magnitude, 0x1p-126), &exponent);
  return std::ldexp(1.0, exponent - 8);
}

struct Sums {
  double error = 0, square = 0;
  uint64_t finite = 0, different = 0;
};

double nmse_budget(Budget budget, DType dtype, uint64_t count) {
  if (budget == Budget::fp8_gemm) return 1e-6 + 0x1p-14 / double(count);
  if (dtype == DType::bf16) return 1e-7 + 0x1p-14 / double(count);  // one element may always differ by an ulp
  return budget == Budget::elementwise ? 1e-12 : 1e-10;
}

}  // namespace

std::string difference(const Tensor& a, const Tensor& b, Budget budget) {
  if (budget == Budget::words) return words_difference(a, b);
  if (budget == Budget::exact || !is_float(b.dtype())) return exact_difference(a, b);
  Sums s;
  for (uint64_t i = 0; i < b.size(); ++i) {
    const double x = a.get(i), y = b.get(i);
    if (std::isnan(x) != std::isnan(y) || ((std::isinf(x) || std::isinf(y)) && x != y && !std::isnan(y)))
      return at(a, b, i);
    if (!std::isfinite(y)) continue;
    const double error = std::abs(x - y) < kFlushed ? 0 : x - y;
    s.error += error * error;
    s.square += y * y;
    s.different += error != 0;
    ++s.finite;
  }
  if (s.error == 0) return {};
  if (s.square == 0) return "the reference is zero, the candidate is not";
  const double nmse = s.error / s.square, limit = nmse_budget(budget, b.dtype(), s.finite);
  if (!(nmse <= limit)) return fmt::format("NMSE {:.3g} of {}, at most {:.3g}", nmse, b.desc(), limit);
  if (b.dtype() != DType::bf16) return {};
  if (s.different > s.finite / 100 + 1)
    return fmt::format("{} of {} elements differ, at most 1%", s.different, s.finite);
  const double rms = std::sqrt(s.square / double(s.finite));
  for (uint64_t i = 0; i < b.size(); ++i)
    if (std::isfinite(b.get(i)) && std::abs(a.get(i) - b.get(i)) > bf16_ulp(std::max(std::abs(b.get(i)), rms)))
      return "more than 1 ulp off: " + at(a, b, i);
  return {};
}

}  // namespace tandem::test
