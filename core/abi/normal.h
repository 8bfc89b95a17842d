// Normally distributed values by inversion of random words, the same on every machine that draws them: additions,
// multiplications, divisions and square roots of f64 alone. Read as C++ and CUDA.
#pragma once

#include <cmath>

#include "core/abi/numeric.h"

namespace tandem::abi {

// Elements first to first + count of a stored tensor: element e is scale * inverse_normal((w + 1/2) * 2^-32), rounded
// to f32, with w word e mod 4 of philox(seed, (e div 4, number, 0, stream)). As bf16 it is rounded further.
struct NormalDraw {
  uint64_t seed = 0;
  uint32_t number = 0;  // the stored tensor's
  uint32_t stream = 0;
  double scale = 1;
  uint64_t first = 0, count = 0;
};

// ln x of a positive normal x: 2 artanh((m-1)/(m+1)) + e ln 2 with m in [sqrt(1/2), sqrt(2)); the standard library's
// may differ from one version to the next.
TANDEM_FN double natural_log(double x) {
  const uint64_t bits = __builtin_bit_cast(uint64_t, x);
  const double mantissa = __builtin_bit_cast(double, (bits & ((uint64_t{1} << 52) - 1)) | (uint64_t{1023} << 52));
  // A small integer is added to the bits of 1.5 * 2^52, as vectors have no conversion of 64-bit integers.
  const double exponent =
      __builtin_bit_cast(double, __builtin_bit_cast(uint64_t, 0x1.8p52) + (bits >> 52) - uint64_t{1023}) - 0x1.8p52;
  const bool high = mantissa > 1.4142135623730951;
  const double m = high ? mantissa * 0.5 : mantissa, e = high ? exponent + 1.0 : exponent;
  const double s = (m - 1) / (m + 1), z = s * s;
  double series = 0;
  for (int k = 23; k >= 3; k -= 2) series = (series + 1.0 / k) * z;
  return 2 * s * (1 + series) + e * 0.69314718055994530942;
}

// c[I] + c[I + 1] x + ..., by Horner's rule. A loop of so many rounds would not be unrolled, and no vectors made.
template <const auto& c, int I = 0>
TANDEM_FN double polynomial(double x) {
  constexpr double term = c[I];
  if constexpr ((I + 1) * sizeof(double) == sizeof(c)) return term;
  else return polynomial<c, I + 1>(x) * x + term;
}

// Both fits interpolate at Chebyshev nodes, made with 40 digits from erfc by Newton's method, in monomials over [-1,
// 1]. z / q, with q = p - 1/2 and |q| <= 3/8, over q^2 in [0, 9/64]
inline constexpr double kCentralNormal[17] = {2.7266649486974748,     0.26436689143639014,    0.05569500043025492,
                                              0.014631491563942835,   0.004270141202637364,   0.001325255451588764,
                                              0.0004282114230545093,  0.00014236146417645416, 4.833631415274777e-05,
                                              1.6650305878806524e-05, 5.820596366087935e-06,  2.1153543929339866e-06,
                                              7.546746053867682e-07,  2.0767504884836184e-07, 7.460716137223542e-08,
                                              6.326760747936784e-08,  2.3204414885097953e-08};
// -z, over t = sqrt(-2 ln p) in [2, 6.875]
inline constexpr double kTailNormal[23] = {
    3.8765485945985074,     2.6329739585056813,     -0.07933015846711501,    0.03422711836492643,
    -0.015286147245263396,  0.006987981072558068,   -0.0032518594991624646,  0.001535721611839414,
    -0.0007346630338511322, 0.00035568439730895385, -0.00017392267353172892, 8.51609569284316e-05,
    -4.236476108157447e-05, 2.301333748658663e-05,  -1.1650035294287065e-05, 2.8779960309238004e-06,
    -1.425724986642697e-06, 4.12214069853795e-06,   -2.1532323737535074e-06, -1.2668538456394235e-06,
    6.698671216353059e-07,  6.031061875194099e-07,  -3.1665833422824676e-07};

inline constexpr double kCentralHalf = 0.375;

TANDEM_FN double central_normal(double q) {
  return q * polynomial<kCentralNormal>(q * q * (128.0 / 9) - 1);
}

// p: the smaller one of both probabilities
TANDEM_FN double tail_normal(double p) {
  const double t = std::sqrt(-2 * natural_log(p));
  return polynomial<kTailNormal>((t - 4.4375) / 2.4375);
}

// The z with probability q + 1/2 below it, |q| < 1/2; relative error under 1e-12 for probabilities from 2^-34.
TANDEM_FN double inverse_normal(double q) {
  if (fabs(q) <= kCentralHalf) return central_normal(q);
  return q < 0 ? -tail_normal(0.5 + q) : tail_normal(0.5 - q);
}

// The probability that a word stands for, less 1/2, which is exact. Signed conversions are what vectors have.
TANDEM_FN double centred_probability(uint32_t word) {
  return (double(int32_t(word ^ 0x80000000u)) + 0.5) * 0x1p-32;
}

}  // namespace tandem::abi
