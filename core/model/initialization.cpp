// Parameters drawn from a seed. Element e of stored tensor n takes word e mod 4 of philox(seed, (e div 4, n, 0, 4)) and
// is initializer_range * inverse_normal((word + 1/2) * 2^-32).
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/abi/numeric.h"
#include "core/base/parallel.h"
#include "core/model/weights.h"

namespace tandem {
namespace {

constexpr uint32_t kInitialisationStream = 4;
constexpr uint64_t kGrain = 1 << 16;  // elements

// ln x of a positive normal x: 2 artanh((m-1)/(m+1)) + e ln 2 with m in [sqrt(1/2), sqrt(2)); the standard library's
// may differ from one version to the next
double natural_log(double x) {
  uint64_t bits = std::bit_cast<uint64_t>(x);
  int64_t exponent = int64_t(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & ((uint64_t{1} << 52) - 1)) | (uint64_t{1023} << 52));
  if (m > 1.4142135623730951) m *= 0.5, ++exponent;
  const double s = (m - 1) / (m + 1), z = s * s;
  double series = 0;
  for (int k = 23; k >= 3; k -= 2) series = (series + 1.0 / k) * z;
  return 2 * s * (1 + series) + double(exponent) * 0.69314718055994530942;
}

// Horner's rule, the constant first
template <size_t N>
double polynomial(const std::array<double, N>& c, double x) {
  double y = c[N - 1];
  for (size_t i = N - 1; i-- > 0;) y = y * x + c[i];
  return y;
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

template <typename Store>
void draw_normal(const StoredTensor& part, uint64_t seed, double range, Store store) {
  parallel_for(part.shape.count(), kGrain, [&](uint64_t first, uint64_t last) {
    for (uint64_t e = first; e < last; e += 4) {
      const abi::PhiloxWords words =
          abi::philox(uint32_t(seed), uint32_t(seed >> 32), uint32_t(e / 4), part.number, 0, kInitialisationStream);
      for (uint64_t i = 0; i < 4 && e + i < last; ++i)
        store(e + i, float(range * inverse_normal((double(words.word[i]) + 0.5) * 0x1p-32)));
    }
  });
}

}  // namespace

double inverse_normal(double p) {
  const double q = p - 0.5;
  if (std::abs(q) <= 0.375) return q * polynomial(kCentral, q * q * (128.0 / 9) - 1);
  const double t = std::sqrt(-2 * natural_log(q < 0 ? p : 1 - p));
  const double z = polynomial(kTail, (t - 4.4375) / 2.4375);
  return q < 0 ? -z : z;
}

void draw_parameters(const ModelConfig& config, std::span<const ParameterSpec> specs, uint64_t seed, DType dtype,
                     const ParameterSink& sink) {
  TANDEM_CHECK(dtype == DType::f32 || dtype == DType::bf16, "parameters are f32 or bf16, not {}", name_of(dtype));
  std::vector<std::byte> data;
  for (const ParameterSpec& spec : specs) {
    data.resize(TensorDesc{dtype, spec.shape}.bytes());
    for (const StoredTensor& part : spec.parts) {
      const auto place = std::span(data).subspan(part.first_byte(dtype), part.place_bytes(dtype));
      if (part.padded()) std::ranges::fill(place, std::byte{});
      const auto store = [&](uint64_t e, float value) {
        const uint32_t bits = dtype == DType::f32 ? abi::float_bits(value) : abi::bf16_from_f32(value);
        std::memcpy(&place[part.position(e) * size_of(dtype)], &bits, size_of(dtype));  // little-endian: the low bytes
      };
      if (spec.kind == ParameterKind::matrix) draw_normal(part, seed, config.initializer_range, store);
      else
        for (uint64_t e = 0; e < part.shape.count(); ++e) store(e, spec.kind == ParameterKind::norm ? 1.0f : 0.0f);
    }
    sink(spec, data);
  }
}

}  // namespace tandem
