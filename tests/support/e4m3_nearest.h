// f32 to e4m3 by search, independent of core/abi/numeric.h: the format's values from its definition (OCP 8-bit floating
// point, 1.0), the nearest one, ties to the even code, saturating.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace tandem::test {

inline double e4m3_value(uint32_t code) {
  const int exponent = int((code >> 3) & 15), mantissa = int(code & 7);
  if (exponent == 15 && mantissa == 7) return NAN;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa / 8.0, -6) : std::ldexp(1.0 + mantissa / 8.0, exponent - 7);
  return code & 0x80 ? -magnitude : magnitude;
}

inline uint32_t e4m3_nearest(double x) {
  static const std::array<double, 127> kValues = [] {
    std::array<double, 127> values{};
    for (uint32_t code = 0; code < 127; ++code) values[code] = e4m3_value(code);
    return values;
  }();
  const uint32_t sign = std::signbit(x) ? 0x80 : 0;
  if (std::isnan(x)) return sign | 0x7f;
  const double magnitude = std::abs(x);
  if (magnitude >= 448) return sign | 0x7e;
  uint32_t low = 0, high = 126;  // kValues[low] <= magnitude < kValues[high]
  while (high - low > 1) {
    const uint32_t middle = (low + high) / 2;
    (kValues[middle] <= magnitude ? low : high) = middle;
  }
  const double below = magnitude - kValues[low], above = kValues[high] - magnitude;
  if (below < above) return sign | low;
  if (above < below) return sign | high;
  return sign | (low % 2 == 0 ? low : high);
}

}  // namespace tandem::test
