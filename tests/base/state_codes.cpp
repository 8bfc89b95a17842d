// core/abi/state_codes.h against NumPy (tests/reference/state_codes.py), the definition in f64, the means that
// stochastic codes promise, and the bound that a second moment sets its first.
#include "core/abi/state_codes.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/parallel.h"
#include "tests/support/full.h"

namespace tandem::test {
namespace {

struct Format {
  const char* name;
  float (*value)(uint32_t code);
  uint32_t (*code)(float x, int32_t k, uint32_t random);
  int32_t (*scale)(uint32_t amax);
  int32_t least;               // the exponent of its least normal number
  int32_t least_k, most_k;     // limits of scales
  double largest;              // number
  uint32_t first_code, codes;  // least code of what is not zero; largest
  bool is_signed;
};
const Format kFormats[] = {
    {"e4m3", abi::f32_from_e4m3, abi::e4m3_from_f32_stochastic, abi::scale_exponent, -6, -63, 63, 448, 0, 0x7e, true},
    {"e5m3", abi::f32_from_e5m3, abi::e5m3_from_f32_stochastic, abi::e5m3_scale_exponent, -30, -126, 93, 1.875, 1, 0xff,
     false},
};

Json reference() {
  const char* root = std::getenv("TANDEM_SOURCE_ROOT");
  REQUIRE(root != nullptr);
  const std::string path = std::string(root) + "/tests/reference/state_codes.json";
  return parse_json(read_text(path), path);
}

uint64_t mix(uint64_t x) {  // splitmix64
  x = (x + 1) * 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

TEST_CASE("codes of 8-bit states stand for NumPy's numbers") {
  const Json json = reference();
  for (const Format& f : kFormats) {
    const Json& values = json[f.name]["values"];
    REQUIRE(values.size() == 256);
    for (uint32_t code = 0; code < 256; ++code) {
      CAPTURE(code);
      const float wanted = abi::bits_float(values[code].get<uint32_t>());
      if (std::isnan(wanted)) CHECK(std::isnan(f.value(code)));
      else CHECK(abi::float_bits(f.value(code)) == abi::float_bits(wanted));
    }
  }
}

TEST_CASE("stochastic codes are NumPy's for every exponent") {
  std::vector<uint32_t> words(16);
  for (uint64_t w = 0; w < 16; ++w) words[w] = uint32_t(mix(w));
  words[0] = 0, words[1] = 0xffffffff;
  const Json json = reference();
  for (const Format& f : kFormats) {
    const Json& hashes = json[f.name]["stochastic"];
    REQUIRE(hashes.size() == 254);
    for (uint32_t field = 1; field < 255; ++field) {
      uint64_t hash = 0;
      for (uint32_t i = 0; i < 4096; ++i) {
        const float x = abi::bits_float(field << 23 | (i << 11) | i * 1237 % 2048);
        for (uint32_t w = 0; w < 16; ++w) hash += (uint64_t(f.code(x, 0, words[w])) + 1) * mix(16 * i + w);
      }
      CAPTURE(field);
      CHECK(fmt::format("{:016x}", hash) == hashes[field - 1].get<std::string>());
    }
  }
}

// Quotients of a number by its code's step are exact in f64.
uint32_t code_by_definition(const Format& f, float x, int k, uint32_t word) {
  const double scaled = std::ldexp(std::abs(double(x)), k);
  const int own = std::ilogb(scaled), exponent = std::max(own, f.least), dropped = 20 + exponent - own;
  uint32_t code = 0;
  if (dropped <= 31) {
    const double random = std::ldexp(double(word & ((uint64_t{1} << dropped) - 1)), -dropped);
    code = uint32_t(8 * (exponent - f.least) + int(std::floor(std::ldexp(scaled, 3 - exponent) + random)));
  }
  return std::clamp(code, f.first_code, f.codes) | (f.is_signed && std::signbit(x) ? 0x80u : 0u);
}

// every normal f32, or with a stride some of them, each under another scale
TEST_CASE("stochastic codes follow their definition under any scale") {
  const uint64_t stride = is_full() ? 1 : 4099, count = (uint64_t{1} << 32) / stride;
  for (const Format& f : kFormats) {
    std::atomic<uint64_t> wrong = 0;
    parallel_for(count, 1 << 14, [&](uint64_t first, uint64_t last) {
      for (uint64_t i = first; i < last; ++i) {
        float x = abi::bits_float(uint32_t(i * stride));
        if (!std::isnormal(x)) continue;
        if (!f.is_signed) x = std::abs(x);
        const auto k = int32_t(mix(i) % uint64_t(f.most_k - f.least_k + 1)) + f.least_k;
        for (const uint32_t word : {uint32_t(mix(i) >> 32), ~uint32_t(i)})
          wrong += f.code(x, k, word) != code_by_definition(f, x, k, word);
      }
    });
    CHECK_MESSAGE(wrong == 0, f.name);
    CHECK(f.code(0.0f, f.most_k, 0xffffffff) == 0);
    if (f.is_signed) CHECK(f.code(-0.0f, f.most_k, 0xffffffff) == 0);
  }
}

TEST_CASE("a block's scale is the largest under which its largest number is one") {
  for (const Format& f : kFormats) {
    CHECK(f.scale(0) == 0);
    for (uint64_t i = 0; i < (is_full() ? uint64_t{0x7f800000} : 20000); ++i) {
      const float x = abi::bits_float(is_full() ? uint32_t(i) : uint32_t(mix(i) % 0x7f800000));
      if (!std::isnormal(x)) continue;
      const int32_t k = f.scale(abi::float_bits(x));
      CAPTURE(x);
      REQUIRE(k >= f.least_k);
      REQUIRE(k <= f.most_k);
      if (k > f.least_k) REQUIRE(std::ldexp(double(x), k) <= f.largest);
      if (k < f.most_k) REQUIRE(std::ldexp(double(x), k + 1) > f.largest);
      const uint32_t byte = abi::scale_byte(k);
      REQUIRE(byte < 255);
      REQUIRE(abi::state_scale(byte) == std::ldexp(1.0f, -k));
    }
  }
  CHECK(abi::state_scale(0) * abi::f32_from_e4m3(0) == 0);  // bytes of zero are zeros
}

TEST_CASE("stochastic codes have the mean of what they are made from") {
  constexpr uint32_t kWords = 1 << 16;
  for (const Format& f : kFormats)
    for (const double number : {0.5 * f.largest, 0.601 * f.largest, 0.9995 * f.largest, 0.0171 * f.largest,
                                std::ldexp(0.7, f.least), std::ldexp(0.3, f.least)}) {
      const float x = float(number);
      double sum = 0, squares = 0;
      for (uint32_t i = 0; i < kWords / 4; ++i) {
        const abi::PhiloxWords random = abi::philox(1, 2, i, 3, 4, 5);
        for (const uint32_t word : random.word) {
          const double value = f.value(f.code(x, 0, word));
          sum += value, squares += value * value;
        }
      }
      const double mean = sum / kWords, sigma = std::sqrt(std::max(0.0, squares / kWords - mean * mean) / kWords);
      CAPTURE(f.name);
      CAPTURE(x);
      CHECK(std::abs(mean - double(x)) <= 5 * sigma + 1e-12 * double(x));
    }
}

// Gradients that are far from those before: signs that change, spikes, silence, all sizes side by side.
float hostile_gradient(uint64_t step, uint64_t element) {
  const uint64_t random = mix(step * 128 + element);
  const float sign = random & 1 ? 1.0f : -1.0f, unit = float(random >> 40) * 0x1p-24f;
  switch (element % 8) {
    case 0:
      return sign;
    case 1:
      return step % 97 == 0 ? 0x1p20f : 0.0f;
    case 2:
      return step % 1000 < 500 ? 0.0f : unit;
    case 3:
      return std::ldexp(1.0f, int(random >> 8 & 63) - 40) * sign;
    case 4:
      return step < 20 ? 0x1p30f : 0x1p-20f * unit;
    case 5:
      return std::ldexp(unit, -int(step % 60));
    case 6:
      return step / 50 % 2 == 0 ? 1.0f : -1.0f;
    default:
      return unit - 0.5f;
  }
}

// m and v of a block of 128 columns
struct Block {
  uint32_t m[128] = {}, v[128] = {}, m_byte = 0, v_byte = 0;

  // the largest |m'| / sqrt(v') of the step
  double step(float beta1, float beta2, uint64_t s) {
    float next_m[128], next_v[128];
    uint32_t largest_m = 0, largest_v = 0;
    double largest = 0;
    for (uint64_t i = 0; i < 128; ++i) {
      const float g = hostile_gradient(s, i);
      next_m[i] = abi::next_moment(beta1, 1 - beta1, abi::f32_from_e4m3(m[i]) * abi::state_scale(m_byte), g);
      next_v[i] = abi::next_second_moment(beta2, 1 - beta2, abi::f32_from_e5m3(v[i]) * abi::state_scale(v_byte), g);
      largest_m = std::max(largest_m, abi::float_bits(std::abs(next_m[i])));
      largest_v = std::max(largest_v, abi::float_bits(next_v[i]));
      if (next_m[i] != 0) largest = std::max(largest, std::abs(double(next_m[i])) / std::sqrt(double(next_v[i])));
    }
    const int32_t m_k = abi::scale_exponent(largest_m), v_k = abi::e5m3_scale_exponent(largest_v);
    m_byte = abi::scale_byte(m_k), v_byte = abi::scale_byte(v_k);
    for (uint32_t i = 0; i < 128; ++i) {
      m[i] = abi::e4m3_from_f32_stochastic(next_m[i], m_k, abi::philox(7, 0, i, 0, uint32_t(s), 1).word[0]);
      v[i] = abi::e5m3_from_f32_stochastic(next_v[i], v_k, abi::philox(7, 0, i, 0, uint32_t(s), 2).word[0]);
    }
    return largest;
  }
};

// Without rounding |m| <= c sqrt(v), with the c of Cauchy and Schwarz.
TEST_CASE("10^4 hostile steps keep a first moment within 3 times its second one's bound") {
  for (const float beta2 : {0.95f, 0.999f}) {
    const double beta1 = 0.9, c = (1 - beta1) / std::sqrt((1 - double(beta2)) * (1 - beta1 * beta1 / double(beta2)));
    Block block;
    double largest = 0;
    for (uint64_t s = 0; s < 10000; ++s) largest = std::max(largest, block.step(0.9f, beta2, s));
    MESSAGE("beta2 ", beta2, ": ", largest, ", c is ", c);
    CHECK(largest > 0.5);
    CHECK(largest <= 3 * c);
  }
}

}  // namespace
}  // namespace tandem::test
