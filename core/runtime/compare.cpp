#include "core/runtime/compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/abi/state_codes.h"
#include "core/base/error.h"

namespace tandem {
namespace {

// an ordinary factor may lift what was flushed
constexpr double kFlushed = 0x1p-100;

bool is_float(DType dtype) {
  return dtype == DType::f32 || dtype == DType::bf16;
}

class View {
 public:
  View(const TensorDesc& desc, std::span<const std::byte> bytes) : dtype_(desc.dtype), data_(bytes.data()) {
    TANDEM_CHECK(bytes.size() >= desc.bytes(), "{} bytes of {}", bytes.size(), desc);
  }
  uint32_t bits(uint64_t i) const {
    switch (size_of(dtype_)) {
      case 1:
        return load<uint8_t>(i);
      case 2:
        return load<uint16_t>(i);
      default:
        return load<uint32_t>(i);
    }
  }
  // words: a u32 that may hold a float is taken for one where it can be
  double get(uint64_t i, bool words = false) const {
    const uint32_t code = bits(i);
    if (words && std::isnormal(abi::bits_float(code))) return abi::bits_float(code);
    if (dtype_ == DType::f32) return abi::bits_float(code);
    if (dtype_ == DType::bf16) return abi::f32_from_bf16(code);
    if (dtype_ == DType::e4m3) return abi::f32_from_e4m3(code);
    if (dtype_ == DType::e5m3) return abi::f32_from_e5m3(code);
    return dtype_ == DType::i32 ? double(int32_t(code)) : double(code);
  }
  float word(uint64_t i) const { return abi::bits_float(load<uint32_t>(i)); }

 private:
  template <typename T>
  T load(uint64_t i) const {
    T value;
    std::memcpy(&value, data_ + i * sizeof(T), sizeof(T));
    return value;
  }
  DType dtype_;
  const std::byte* data_;
};

// codes in the order of the numbers they stand for
int64_t ordered(uint32_t code, DType dtype) {
  if (dtype == DType::e5m3) return code;
  const uint32_t sign = dtype == DType::f32 ? 0x80000000u : dtype == DType::bf16 ? 0x8000u : 0x80u;
  return code & sign ? -int64_t(code & (sign - 1)) : int64_t(code);
}

double ulps(const View& a, const View& b, uint64_t i, DType dtype) {
  if (dtype == DType::i32 || dtype == DType::u32 || dtype == DType::u8) return std::abs(a.get(i) - b.get(i));
  return std::abs(double(ordered(a.bits(i), dtype) - ordered(b.bits(i), dtype)));
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

  double nmse() const {
    if (error == 0) return 0;
    return square == 0 ? std::numeric_limits<double>::infinity() : error / square;
  }
};

class Comparer {
 public:
  Comparer(const TensorDesc& desc, std::span<const std::byte> candidate, std::span<const std::byte> reference,
           Budget budget, Defined defined)
      : desc_(desc), a_(desc, candidate), b_(desc, reference), budget_(budget), defined_(defined) {}

  Comparison run() {
    measure();
    if (words()) check_words();
    else if (budget_ == Budget::codes && desc_.dtype == DType::e4m3) check_codes();
    else if (budget_ == Budget::exact || budget_ == Budget::scale || !is_float(desc_.dtype)) check_exact();
    else check_floats();
    return std::move(result_);
  }

 private:
  uint64_t count() const { return desc_.shape.count(); }
  bool words() const {
    return desc_.dtype == DType::u32 &&
           (budget_ == Budget::words || budget_ == Budget::amax || budget_ == Budget::codes);
  }

  std::string at(uint64_t i) const {
    return fmt::format("element {} of {}: {} ({:#x}), reference {} ({:#x})", i, desc_, a_.get(i), a_.bits(i), b_.get(i),
                       b_.bits(i));
  }
  void wrong(std::string text) {
    if (result_.wrong.empty()) result_.wrong = std::move(text);
  }

  void measure() {
    for (uint64_t i = 0; i < count(); ++i) {
      if (!defined_(i)) continue;
      const double x = a_.get(i, words()), y = b_.get(i, words());
      if (!std::isfinite(x) || !std::isfinite(y)) continue;
      const double error = is_float(desc_.dtype) && std::abs(x - y) < kFlushed ? 0 : x - y;
      sums_.error += error * error;
      sums_.square += y * y;
      sums_.different += error != 0;
      ++sums_.finite;
      if (error != 0) result_.max_ulp = std::max(result_.max_ulp, ulps(a_, b_, i, desc_.dtype));
    }
    result_.nmse = sums_.nmse();
  }

  void check_exact() {
    for (uint64_t i = 0; i < count(); ++i) {
      const bool both_nan = is_float(desc_.dtype) && std::isnan(a_.get(i)) && std::isnan(b_.get(i));
      if (defined_(i) && a_.bits(i) != b_.bits(i) && !both_nan) return wrong(at(i));
    }
  }

  void check_codes() {
    uint64_t different = 0;
    for (uint64_t i = 0; i < count(); ++i) {
      const bool nan = std::isnan(a_.get(i)), both_nan = nan && std::isnan(b_.get(i));
      if (!defined_(i) || a_.bits(i) == b_.bits(i) || both_nan) continue;
      ++different;
      if (nan || std::isnan(b_.get(i)) || ulps(a_, b_, i, desc_.dtype) > 1) return wrong(at(i));
    }
    if (different > 4 + count() / 1000) wrong(fmt::format("{} of {} codes differ, at most 0.1%", different, count()));
  }

  void check_words() {
    const double tolerance = budget_ == Budget::words ? 0x1p-21 : 0.01;
    for (uint64_t i = 0; i < count(); ++i) {
      const float x = a_.word(i), y = b_.word(i);
      const bool close = std::isnormal(x) && std::isnormal(y) && std::abs(double(x) - y) <= tolerance * std::abs(y);
      const bool both_nan = std::isnan(x) && std::isnan(y);
      if (defined_(i) && a_.bits(i) != b_.bits(i) && !close && !both_nan)
        return wrong(fmt::format("word {}: {:#x} ({}), reference {:#x} ({})", i, a_.bits(i), x, b_.bits(i), y));
    }
  }

  void check_floats() {
    for (uint64_t i = 0; i < count(); ++i) {
      const double x = a_.get(i), y = b_.get(i);
      const bool different_nan = std::isnan(x) != std::isnan(y);
      if (defined_(i) && (different_nan || ((std::isinf(x) || std::isinf(y)) && x != y && !std::isnan(y))))
        return wrong(at(i));
    }
    if (sums_.error == 0) return;
    if (sums_.square == 0) return wrong("the reference is zero, the candidate is not");
    if (const double limit = nmse_limit(); !(result_.nmse <= limit))
      return wrong(fmt::format("NMSE {:.3g} of {}, at most {:.3g}", result_.nmse, desc_, limit));
    const bool rounds_once =
        budget_ != Budget::attention && budget_ != Budget::fp8_gemm && budget_ != Budget::fast_gemm;
    if (desc_.dtype == DType::bf16 && rounds_once) check_rounding();
  }

  // four elements may always differ by an ulp of bf16, however few there are
  double nmse_limit() const {
    const double few = 4 * 0x1p-14 / double(sums_.finite);
    if (budget_ == Budget::fast_gemm) return 1e-4 + few;
    if (budget_ == Budget::fp8_gemm) return (desc_.dtype == DType::bf16 ? 5e-6 : 1e-6) + few;
    if (desc_.dtype == DType::bf16) return (budget_ == Budget::attention ? 3e-5 : 1e-7) + few;
    return budget_ == Budget::elementwise ? 1e-12 : 1e-10;
  }

  void check_rounding() {
    if (sums_.different > sums_.finite / 100 + 1)
      return wrong(fmt::format("{} of {} elements differ, at most 1%", sums_.different, sums_.finite));
    const double rms = std::sqrt(sums_.square / double(sums_.finite));
    for (uint64_t i = 0; i < count(); ++i)
      if (defined_(i) && std::isfinite(b_.get(i)) &&
          std::abs(a_.get(i) - b_.get(i)) > bf16_ulp(std::max(std::abs(b_.get(i)), rms)))
        return wrong("more than 1 ulp off: " + at(i));
  }

  const TensorDesc& desc_;
  View a_, b_;
  Budget budget_;
  Defined defined_;
  Sums sums_;
  Comparison result_;
};

}  // namespace

Comparison compare(const TensorDesc& desc, std::span<const std::byte> candidate, std::span<const std::byte> reference,
                   Budget budget, Defined defined) {
  return Comparer(desc, candidate, reference, budget, defined).run();
}

}  // namespace tandem
