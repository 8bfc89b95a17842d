// Codes of 8-bit states by the letter of docs/numerics.md: from quotients in f64, which are exact there.
#pragma once

#include "tests/support/op_case.h"

namespace tandem::test {

constexpr uint64_t kBlock = 128;

struct Format {
  int least;                   // the exponent of its least normal number
  int least_k, most_k;         // limits of scales
  double largest;              // number
  uint32_t first_code, codes;  // least code of what is not zero; largest
};
constexpr Format kFirst{-6, -63, 63, 448, 0, 0x7e}, kSecond{-30, -126, 93, 1.875, 1, 0xff};

inline float normal_or_zero(float x) {
  return std::fpclassify(x) == FP_SUBNORMAL ? 0.0f : x;
}

inline float moment_of(float beta, float rate, float moment, float x) {
  const float kept = beta * moment, added = rate * x;
  return normal_or_zero(normal_or_zero(kept) + normal_or_zero(added));
}

inline int exponent_of_scale(const Format& format, double amax) {
  if (amax == 0) return 0;
  int k = format.most_k;
  while (k > format.least_k && std::ldexp(amax, k) > format.largest) --k;
  return k;
}

inline uint32_t code_of(const Format& format, double x, int k, uint32_t word) {
  if (x == 0) return 0;
  const double scaled = std::ldexp(std::abs(x), k);
  const int own = std::ilogb(scaled), exponent = std::max(own, format.least), dropped = 20 + exponent - own;
  uint32_t code = 0;
  if (dropped <= 31) {
    const double random = double(word % (uint64_t(1) << dropped)) / double(uint64_t(1) << dropped);
    code = uint32_t(8 * (exponent - format.least) + int(std::floor(std::ldexp(scaled, 3 - exponent) + random)));
  }
  return std::clamp(code, format.first_code, format.codes) | (std::signbit(x) ? 0x80u : 0u);
}

// by turns, a block of ordinary values each, zeros, values 2^-30 beside one of 2^30, numbers near f32's least, one
// spike
inline Filler hostile() {
  return [](Tensor& x, Random& random) {
    for (uint64_t i = 0; i < x.size(); ++i) {
      const uint64_t kind = i / 128 % 5;
      double value = random.normal();
      if (kind == 1) value = 0;
      if (kind == 2) value = i % 128 == 17 ? 0x1p30 : 0x1p-30 * value;
      if (kind == 3) value *= 0x1p-120;
      if (kind == 4 && i % 128 != 5) value = 0;
      x.set(i, value);
    }
  };
}

}  // namespace tandem::test
