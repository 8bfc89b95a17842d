// Loops over blocks of elements without calls or branches, which the compiler makes vectors of; its flags are set for
// this file alone (core/meson.build).
#include "core/model/normal.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "core/abi/numeric.h"

// Variants for wider vectors, chosen when the program starts. None contracts products and sums: bits stay the same.
#if defined(__x86_64__) && defined(__gnu_linux__)
#define TANDEM_WIDE __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define TANDEM_WIDE
#endif

namespace tandem {
namespace {

constexpr size_t kBlock = 1024;  // elements, whose arrays stay in the first cache
using Block = std::array<double, kBlock>;

// ln x of a positive normal x: 2 artanh((m-1)/(m+1)) + e ln 2 with m in [sqrt(1/2), sqrt(2)); the standard library's
// may differ from one version to the next.
inline double natural_log(double x) {
  const uint64_t bits = std::bit_cast<uint64_t>(x);
  const double mantissa = std::bit_cast<double>((bits & ((uint64_t{1} << 52) - 1)) | (uint64_t{1023} << 52));
  // A small integer is added to the bits of 1.5 * 2^52, as vectors have no conversion of 64-bit integers.
  const double exponent =
      std::bit_cast<double>(std::bit_cast<uint64_t>(0x1.8p52) + (bits >> 52) - uint64_t{1023}) - 0x1.8p52;
  const bool high = mantissa > 1.4142135623730951;
  const double m = high ? mantissa * 0.5 : mantissa, e = high ? exponent + 1.0 : exponent;
  const double s = (m - 1) / (m + 1), z = s * s;
  double series = 0;
  for (int k = 23; k >= 3; k -= 2) series = (series + 1.0 / k) * z;
  return 2 * s * (1 + series) + e * 0.69314718055994530942;
}

// c[I] + c[I + 1] x + ..., by Horner's rule. A loop of so many rounds would not be unrolled, and no vectors made.
template <size_t I = 0, size_t N>
inline double polynomial(const std::array<double, N>& c, double x) {
  if constexpr (I + 1 == N) return c[I];
  else return polynomial<I + 1>(c, x) * x + c[I];
}

// Both fits interpolate at Chebyshev nodes, made with 40 digits from erfc by Newton's method, in monomials over [-1,
// 1]. z / q, with q = p - 1/2 and |q| <= 3/8, over q^2 in [0, 9/64]
constexpr std::array<double, 17> kCentral{2.7266649486974748,     0.26436689143639014,    0.05569500043025492,
                                          0.014631491563942835,   0.004270141202637364,   0.001325255451588764,
                                          0.0004282114230545093,  0.00014236146417645416, 4.833631415274777e-05,
                                          1.6650305878806524e-05, 5.820596366087935e-06,  2.1153543929339866e-06,
                                          7.546746053867682e-07,  2.0767504884836184e-07, 7.460716137223542e-08,
                                          6.326760747936784e-08,  2.3204414885097953e-08};
// -z, over t = sqrt(-2 ln p) in [2, 6.875]
constexpr std::array<double, 23> kTail{
    3.8765485945985074,     2.6329739585056813,     -0.07933015846711501,    0.03422711836492643,
    -0.015286147245263396,  0.006987981072558068,   -0.0032518594991624646,  0.001535721611839414,
    -0.0007346630338511322, 0.00035568439730895385, -0.00017392267353172892, 8.51609569284316e-05,
    -4.236476108157447e-05, 2.301333748658663e-05,  -1.1650035294287065e-05, 2.8779960309238004e-06,
    -1.425724986642697e-06, 4.12214069853795e-06,   -2.1532323737535074e-06, -1.2668538456394235e-06,
    6.698671216353059e-07,  6.031061875194099e-07,  -3.1665833422824676e-07};

constexpr double kCentralHalf = 0.375;

inline double central(double q) {
  return q * polynomial(kCentral, q * q * (128.0 / 9) - 1);
}

// p: the smaller one of both probabilities
inline double tail(double p) {
  const double t = std::sqrt(-2 * natural_log(p));
  return polynomial(kTail, (t - 4.4375) / 2.4375);
}

// q[4b + i]: word i of counter first + b, as a probability less 1/2, which is exact. Signed conversions are what
// vectors have.
TANDEM_WIDE void words(const NormalStream& from, uint64_t first, Block& q) {
  constexpr size_t kCounters = kBlock / 4;
  uint32_t word[4][kCounters];
  for (size_t b = 0; b < kCounters; ++b) {
    const abi::PhiloxWords w =
        abi::philox(uint32_t(from.seed), uint32_t(from.seed >> 32), uint32_t(first + b), from.number, 0, from.stream);
    for (size_t i = 0; i < 4; ++i) word[i][b] = w.word[i];
  }
  for (size_t b = 0; b < kCounters; ++b)
    for (size_t i = 0; i < 4; ++i) q[4 * b + i] = (double(int32_t(word[i][b] ^ 0x80000000u)) + 0.5) * 0x1p-32;
}

TANDEM_WIDE void all_central(const Block& q, Block& z) {
  for (size_t i = 0; i < kBlock; ++i) z[i] = central(q[i]);
}

TANDEM_WIDE void all_tails(Block& p, size_t count) {
  for (size_t i = 0; i < count; ++i) p[i] = tail(p[i]);
}

// z of each q; a quarter of them lie in the tails, which are gathered.
void invert(const Block& q, Block& z) {
  all_central(q, z);
  std::array<uint16_t, kBlock> at;
  size_t count = 0;
  for (size_t i = 0; i < kBlock; ++i) {
    at[count] = uint16_t(i);
    count += std::abs(q[i]) > kCentralHalf;
  }
  Block tails;
  for (size_t i = 0; i < count; ++i) tails[i] = 0.5 - std::abs(q[at[i]]);
  all_tails(tails, count);
  for (size_t i = 0; i < count; ++i) z[at[i]] = q[at[i]] < 0 ? -tails[i] : tails[i];
}

TANDEM_WIDE void round(const Block& z, double scale, float* out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = float(scale * z[i]);
}

TANDEM_WIDE void round(const Block& z, double scale, uint16_t* out, size_t count) {
  for (size_t i = 0; i < count; ++i) {  // bf16, to nearest even; no draw is a NaN
    const uint32_t bits = std::bit_cast<uint32_t>(float(scale * z[i]));
    out[i] = uint16_t((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
  }
}

template <typename T>
void draw(const NormalStream& from, double scale, uint64_t first, std::span<T> out) {
  Block q, z;
  for (size_t done = 0; done < out.size();) {
    const uint64_t e = first + done, skipped = e % 4;
    words(from, e / 4, q);
    invert(q, z);
    std::move(z.begin() + ptrdiff_t(skipped), z.end(), z.begin());
    const size_t count = std::min<size_t>(kBlock - skipped, out.size() - done);
    round(z, scale, out.data() + done, count);
    done += count;
  }
}

}  // namespace

void draw_normal(const NormalStream& from, double scale, uint64_t first, std::span<float> out) {
  draw(from, scale, first, out);
}

void draw_normal(const NormalStream& from, double scale, uint64_t first, std::span<uint16_t> out) {
  draw(from, scale, first, out);
}

double inverse_normal(double p) {
  const double q = p - 0.5;
  if (std::abs(q) <= kCentralHalf) return central(q);
  return q < 0 ? -tail(p) : tail(1 - p);
}

}  // namespace tandem
