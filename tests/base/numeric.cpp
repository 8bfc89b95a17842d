// core/abi/numeric.h against independent implementations: search over the formats' values, libm in f64, published
// vectors. The sweeps take one of some thousand of the 2^32 floats; with TANDEM_FULL=1 every one.
#include "core/abi/numeric.h"

#include <doctest/doctest.h>

#include <mutex>
#include <vector>

#include "core/base/parallel.h"
#include "tests/support/e4m3_nearest.h"
#include "tests/support/full.h"

namespace tandem::test {
namespace {

struct Worst {
  double error = 0;
  float at = 0;
  void see(double e, float x) {
    if (!(e <= error)) error = e, at = x;
  }
  void join(const Worst& other) { see(other.error, other.at); }
};
struct Count {
  uint64_t wrong = 0;
  void join(const Count& other) { wrong += other.wrong; }
};

// What f(result, float) makes of floats spread over all bit patterns, on all processors; odd strides reach every
// mantissa and sign. The odd factor takes each pattern once too, and mixes them: some take far longer than others.
template <typename Result, typename F>
Result sweep_by(uint32_t stride, const F& f) {
  const uint64_t count = ((uint64_t{1} << 32) + stride - 1) / stride;
  Result all;
  std::mutex mutex;
  parallel_for(count, 1 << 16, [&](uint64_t first, uint64_t last) {
    Result some;
    for (uint64_t i = first; i < last; ++i) f(some, abi::bits_float(uint32_t(i * stride) * 0x9e3779b1u));
    const std::lock_guard lock(mutex);
    all.join(some);
  });
  return all;
}

template <typename Result, typename F>
Result sweep(uint32_t stride, const F& f) {
  return sweep_by<Result>(is_full() ? 1 : stride, f);
}

// how many floats wrong(float) is true of
template <typename F>
uint64_t count_wrong(uint32_t stride, const F& wrong) {
  return sweep<Count>(stride, [&](Count& count, float x) { count.wrong += wrong(x); }).wrong;
}

// bf16 by distance: the neighbours of |x|, ties to the even code; 0x7f80 stands for 2^128 where overflow is decided
uint32_t bf16_nearest(float x) {
  const uint32_t sign = std::signbit(x) ? 0x8000 : 0;
  const double magnitude = std::abs(double(x));
  if (std::isinf(x)) return sign | 0x7f80;
  static const std::vector<double> kValues = [] {
    std::vector<double> values;
    for (int code = 0; code <= 0x7f80; ++code) {
      const int exponent = code >> 7, mantissa = code & 127;
      values.push_back(exponent == 0 ? std::ldexp(mantissa, -133) : std::ldexp(128 + mantissa, exponent - 134));
    }
    return values;
  }();
  uint32_t low = 0, high = 0x7f80;
  while (high - low > 1) {
    const uint32_t middle = (low + high) / 2;
    (kValues[middle] <= magnitude ? low : high) = middle;
  }
  const double below = magnitude - kValues[low], above = kValues[high] - magnitude;
  return sign | (below < above || (below == above && low % 2 == 0) ? low : high);
}

// error in units of the last place of the f32 nearest to `exact`
double ulps(float x, double exact) {
  const float nearest = float(exact);
  if (!std::isfinite(nearest) || !std::isfinite(x)) return x == nearest ? 0 : INFINITY;
  int exponent = 0;
  std::frexp(nearest, &exponent);
  return std::abs(double(x) - exact) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

}  // namespace

TEST_CASE("e4m3: all 256 codes decode to the format's values") {
  for (uint32_t code = 0; code < 256; ++code) {
    const double wanted = e4m3_value(code);
    const float decoded = abi::f32_from_e4m3(code);
    if (std::isnan(wanted)) CHECK(std::isnan(decoded));
    else CHECK(double(decoded) == wanted);
    CHECK(std::signbit(decoded) == (code >= 128));
  }
  CHECK(abi::f32_from_e4m3(0x7e) == 448);
  CHECK(abi::f32_from_e4m3(0x01) == 0x1p-9f);
  CHECK(abi::f32_from_e4m3(0x38) == 1);
}

TEST_CASE("e4m3: every value encodes to its own code") {
  for (uint32_t code = 0; code < 256; ++code)
    if ((code & 0x7f) != 0x7f) CHECK(abi::e4m3_from_f32(abi::f32_from_e4m3(code)) == code);
}

TEST_CASE("e4m3: encoding is nearest, ties to even, saturating, over the floats") {
  CHECK(count_wrong(1021, [](float x) { return abi::e4m3_from_f32(x) != e4m3_nearest(double(x)); }) == 0);
}

TEST_CASE("e4m3: around every tie and boundary") {
  for (uint32_t code = 0; code < 0x7e; ++code) {
    const float middle = float((e4m3_value(code) + e4m3_value(code + 1)) / 2);
    for (float x : {middle, std::nextafter(middle, 0.0f), std::nextafter(middle, 1e9f)})
      for (float signed_x : {x, -x}) CHECK(abi::e4m3_from_f32(signed_x) == e4m3_nearest(double(signed_x)));
  }
  CHECK(abi::e4m3_from_f32(464.0f) == 0x7e);  // would round to 480 without saturation
  CHECK(abi::e4m3_from_f32(-INFINITY) == 0xfe);
  CHECK((abi::e4m3_from_f32(NAN) & 0x7f) == 0x7f);
}

TEST_CASE("e4m3: scaled encoding is the encoding of the exact product") {
  for (int k = -63; k <= 63; k += 3) {
    const auto wrong = [k](Count& count, float x) {
      count.wrong += abi::e4m3_from_f32_scaled(x, k) != e4m3_nearest(std::ldexp(double(x), k));
    };
    CHECK(sweep_by<Count>(is_full() ? 257 : 40961, wrong).wrong == 0);  // all, for each k, would take hours
  }
}

TEST_CASE("bf16: encoding is nearest, ties to even, over the floats") {
  const uint64_t wrong = count_wrong(1021, [](float x) {
    if (std::isnan(x)) return !std::isnan(abi::f32_from_bf16(abi::bf16_from_f32(x)));
    return abi::bf16_from_f32(x) != bf16_nearest(x);
  });
  CHECK(wrong == 0);
}

TEST_CASE("bf16: ties, signalling NaN, overflow") {
  CHECK(abi::bf16_from_f32(abi::bits_float(0x3f808000)) == 0x3f80);
  CHECK(abi::bf16_from_f32(abi::bits_float(0x3f818000)) == 0x3f82);
  CHECK(abi::bf16_from_f32(abi::bits_float(0x7f7fffff)) == 0x7f80);
  CHECK(abi::bf16_from_f32(abi::bits_float(0x7f800001)) == 0x7fc0);  // its payload lies below the cut
  CHECK(abi::bf16_from_f32(abi::bits_float(0x80000001)) == 0x8000);
}

TEST_CASE("bf16: stochastic rounding goes up exactly as often as the dropped bits say") {
  for (uint32_t bits : {0x3f800000u, 0x3f800001u, 0x3f801234u, 0xbf80ffffu, 0x00008000u, 0x42c7b333u}) {
    uint32_t up = 0;
    for (uint32_t random = 0; random < 65536; ++random) {
      const uint32_t code = abi::bf16_from_f32_stochastic(abi::bits_float(bits), random | 0xabcd0000u);
      REQUIRE((code == bits >> 16 || code == (bits >> 16) + 1));
      up += code != bits >> 16;
    }
    CHECK(up == (bits & 0xffff));
  }
  CHECK(abi::bf16_from_f32_stochastic(INFINITY, 0xffff) == 0x7f80);
  CHECK(std::isnan(abi::f32_from_bf16(abi::bf16_from_f32_stochastic(NAN, 0xffff))));
}

TEST_CASE("bf16: the mean of stochastic rounding with Philox words is the value") {
  const float x = 1.2345678f;
  double sum = 0;
  const uint32_t count = 1 << 18;
  for (uint32_t e = 0; e < count; ++e)
    sum += double(abi::f32_from_bf16(abi::bf16_from_f32_stochastic(x, abi::philox(1, 2, e / 4, 3, 4, 0).word[e % 4])));
  const double deviation = 0x1p-7 / 2 / std::sqrt(double(count));  // at most half an ulp for one rounding
  CHECK(std::abs(sum / count - double(x)) < 5 * deviation);
}

// github.com/DEShawResearch/random123, examples/kat_vectors, philox4x32 10
TEST_CASE("philox: known answers of Random123") {
  struct Vector {
    uint32_t counter[4], key[2], wanted[4];
  };
  const uint32_t f = 0xffffffffu;
  const Vector vectors[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{f, f, f, f}, {f, f}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Vector& v : vectors) {
    const abi::PhiloxWords words =
        abi::philox(v.key[0], v.key[1], v.counter[0], v.counter[1], v.counter[2], v.counter[3]);
    for (int i = 0; i < 4; ++i) CHECK(words.word[i] == v.wanted[i]);
  }
}

TEST_CASE("scale exponent: the largest power of two that keeps amax at 448 or below") {
  const uint64_t wrong = count_wrong(8209, [](float x) {
    const uint32_t bits = abi::float_bits(x);
    if (bits >> 31) return false;
    int wanted = 0;
    if (x != 0 && std::isfinite(x))
      for (wanted = 63; wanted > -63 && std::ldexp(double(x), wanted) > 448;) --wanted;
    return abi::scale_exponent(bits) != wanted;
  });
  CHECK(wrong == 0);
  CHECK(abi::scale_exponent(abi::float_bits(448)) == 0);
  CHECK(abi::scale_exponent(abi::float_bits(448.00003f)) == -1);
  CHECK(abi::scale_exponent(abi::float_bits(224)) == 1);
  CHECK(abi::scale_exponent(1) == 63);
  for (int k = -126; k <= 126; ++k) CHECK(double(abi::power_of_two(k)) == std::ldexp(1.0, k));
}

TEST_CASE("quantize: a poisoned tensor has NaN for every code") {
  for (uint32_t amax : {0x7f800000u, 0x7fc00000u, 0x7fffffffu}) CHECK(abi::quantize_e4m3(1.5f, amax) == 0x7f);
  CHECK(abi::quantize_e4m3(7, abi::float_bits(7)) == 0x7e);  // 7 * 2^6 = 448
}

TEST_CASE("exp: within 1.5 ulp of libm") {
  const Worst worst = sweep<Worst>(1021, [](Worst& worst, float x) {
    if (!std::isnan(x)) worst.see(ulps(abi::exp_f32(x), std::exp(double(x))), x);
  });
  CAPTURE(worst.at);
  CHECK(worst.error < 1.5);
  CHECK(abi::exp_f32(0) == 1);
  CHECK(abi::exp_f32(-INFINITY) == 0);
  CHECK(abi::exp_f32(INFINITY) == INFINITY);
  CHECK(std::isnan(abi::exp_f32(NAN)));
}

TEST_CASE("log: within 1.5 ulp of libm on normal floats") {
  Worst worst = sweep<Worst>(1021, [](Worst& worst, float x) {
    if (std::isnormal(x) && x > 0) worst.see(ulps(abi::log_f32(x), std::log(double(x))), x);
  });
  for (int i = -2000; i <= 2000; ++i) {  // where cancellation would show
    const float x = 1 + float(i) * 0x1p-23f;
    worst.see(ulps(abi::log_f32(x), std::log(double(x))), x);
  }
  CAPTURE(worst.at);
  CHECK(worst.error < 1.5);
  CHECK(abi::log_f32(1) == 0);
  CHECK(abi::log_f32(0) == -INFINITY);
  CHECK(abi::log_f32(INFINITY) == INFINITY);
  CHECK(std::isnan(abi::log_f32(-1)));
  CHECK(std::isnan(abi::log_f32(NAN)));
}

TEST_CASE("1 - exp(x), silu and its derivative are close to f64") {
  struct Errors {
    Worst minus, activation, derivative;
    void join(const Errors& other) {
      minus.join(other.minus), activation.join(other.activation), derivative.join(other.derivative);
    }
  };
  const auto [minus, activation, derivative] = sweep<Errors>(4093, [](Errors& worst, float x) {
    if (!std::isfinite(x)) return;
    const double sigmoid = 1 / (1 + std::exp(-double(x)));
    if (x <= 0 && std::isnormal(x)) worst.minus.see(ulps(abi::one_minus_exp(x), -std::expm1(double(x))), x);
    if (x > -80)
      worst.activation.see(std::abs(double(abi::silu(x)) - double(x) * sigmoid) / (std::abs(x * sigmoid) + 1e-37), x);
    if (x > -80)
      worst.derivative.see(std::abs(double(abi::silu_derivative(x)) - sigmoid * (1 + double(x) * (1 - sigmoid))), x);
  });
  CAPTURE(minus.at);
  CAPTURE(activation.at);
  CAPTURE(derivative.at);
  CHECK(minus.error < 4);
  CHECK(activation.error < 5e-7);
  CHECK(derivative.error < 2.5e-7);
}

}  // namespace tandem::test
