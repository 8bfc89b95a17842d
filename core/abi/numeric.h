// Arithmetic that every backend must do alike to the bit: conversions, scales, random bits, exp and log. Read as C++,
// CUDA and GLSL. e4m3: OCP 8-bit floating point (arXiv 2209.05433). Philox: Salmon et al. 2011, "Parallel random
// numbers: as easy as 1, 2, 3".
#ifndef TANDEM_ABI_NUMERIC_H
#define TANDEM_ABI_NUMERIC_H
#include "core/abi/abi.h"
#ifdef __cplusplus
#include <cmath>
#ifdef __CUDACC__
#define TANDEM_FN __host__ __device__ inline
#else
#define TANDEM_FN inline
#endif
#define PRECISE
namespace tandem::abi {
using std::floor;
TANDEM_FN uint32_t float_bits(float x) {
  return __builtin_bit_cast(uint32_t, x);
}
TANDEM_FN float bits_float(uint32_t u) {
  return __builtin_bit_cast(float, u);
}
TANDEM_FN void multiply_wide(uint32_t a, uint32_t b, uint32_t& high, uint32_t& low) {
  const uint64_t product = uint64_t(a) * b;
  high = uint32_t(product >> 32);
  low = uint32_t(product);
}
#else
#define TANDEM_FN
#define PRECISE precise
uint32_t float_bits(float x) {
  return floatBitsToUint(x);
}
float bits_float(uint32_t u) {
  return uintBitsToFloat(u);
}
void multiply_wide(uint32_t a, uint32_t b, out uint32_t high, out uint32_t low) {
  umulExtended(a, b, high, low);
}
#endif

// ---- bf16: the top half of an f32 ----
TANDEM_FN float f32_from_bf16(uint32_t code) {
  return bits_float(code << 16);
}

// round to nearest even; NaN stays NaN, made quiet
TANDEM_FN uint32_t bf16_from_f32(float x) {
  const uint32_t u = float_bits(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return (u >> 16) | 0x40u;
  return (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
}

// stochastic rounding: random holds 16 bits; NaN and inf as by bf16_from_f32
TANDEM_FN uint32_t bf16_from_f32_stochastic(float x, uint32_t random) {
  const uint32_t u = float_bits(x);
  if ((u & 0x7f800000u) == 0x7f800000u) return bf16_from_f32(x);
  return (u + (random & 0xffffu)) >> 16;
}

// ---- e4m3: sign, 4 bits of exponent (bias 7), 3 of mantissa; largest 448 = 0x7E; NaN = 0x7F; no infinity ----
TANDEM_FN float f32_from_e4m3(uint32_t code) {
  const uint32_t sign = (code & 0x80u) << 24;
  const uint32_t magnitude = code & 0x7fu;
  if (magnitude == 0x7fu) return bits_float(sign | 0x7fc00000u);
  if (magnitude < 8u) {  // subnormal: magnitude * 2^-9, exact
    const float value = float(magnitude) * 0.001953125f;
    return bits_float(sign | float_bits(value));
  }
  return bits_float(sign | ((magnitude << 20) + (120u << 23)));
}

// rne_saturate(x * 2^k), |k| <= 63, in integers, so that subnormals and flushing play no part
TANDEM_FN uint32_t e4m3_from_f32_scaled(float x, int32_t k) {
  const uint32_t u = float_bits(x);
  const uint32_t sign = (u >> 24) & 0x80u;
  const uint32_t magnitude = u & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7fu;
  if (magnitude == 0x7f800000u) return sign | 0x7eu;
  const int32_t exponent = int32_t(magnitude >> 23) - 127 + k;  // f32 subnormals are under 2^-63 even scaled: zero
  if (magnitude < 0x00800000u || exponent < -10) return sign;
  if (exponent > 8) return sign | 0x7eu;
  const uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
  const uint32_t shift = uint32_t(exponent < -6 ? 14 - exponent : 20);  // bits dropped
  const uint32_t half_ulp = 1u << (shift - 1u);
  const uint32_t kept = mantissa >> shift;
  const uint32_t rest = mantissa & ((half_ulp << 1) - 1u);
  uint32_t code = kept + uint32_t(rest > half_ulp || (rest == half_ulp && (kept & 1u) == 1u));
  if (exponent >= -6) code += uint32_t(exponent + 6) << 3;  // kept holds the hidden bit 8, which adds 1 to the exponent
  return sign | (code > 0x7eu ? 0x7eu : code);
}

TANDEM_FN uint32_t e4m3_from_f32(float x) {
  return e4m3_from_f32_scaled(x, 0);
}

// ---- just-in-time scales: amax holds bits(max |x|), NaN and inf as the largest ----
TANDEM_FN bool is_poisoned(uint32_t amax) {
  return amax >= 0x7f800000u;
}

// the largest k, |k| <= 63, with amax * 2^k <= 448 = 1.75 * 2^8; 0 for amax = 0, inf and NaN
TANDEM_FN int32_t scale_exponent(uint32_t amax) {
  if (amax == 0u || is_poisoned(amax)) return 0;
  const int32_t exponent = int32_t(amax >> 23) - 127;
  const int32_t k = (amax & 0x7fffffu) <= 0x600000u ? 8 - exponent : 7 - exponent;
  return k > 63 ? 63 : (k < -63 ? -63 : k);
}

// 2^k for |k| <= 126
TANDEM_FN float power_of_two(int32_t k) {
  return bits_float(uint32_t(k + 127) << 23);
}

// do two amax words give every x the same code?
TANDEM_FN bool same_scale(uint32_t a, uint32_t b) {
  return is_poisoned(a) == is_poisoned(b) && scale_exponent(a) == scale_exponent(b);
}

// 2^-k, with which codes under amax stand for numbers; NaN when poisoned
TANDEM_FN float scale_of_codes(uint32_t amax) {
  return is_poisoned(amax) ? bits_float(0x7fc00000u) : power_of_two(-scale_exponent(amax));
}

// the code of x under amax; a poisoned tensor is all NaN, so that the step is skipped
TANDEM_FN uint32_t quantize_e4m3(float x, uint32_t amax) {
  return is_poisoned(amax) ? 0x7fu : e4m3_from_f32_scaled(x, scale_exponent(amax));
}

// ---- random bits: Philox4x32-10 ----
struct PhiloxWords {
  uint32_t word[4];
};

TANDEM_FN PhiloxWords philox(uint32_t key0, uint32_t key1, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3) {
  for (int32_t round = 0; round < 10; ++round) {
    uint32_t high0, low0, high1, low1;
    multiply_wide(0xD2511F53u, c0, high0, low0);
    multiply_wide(0xCD9E8D57u, c2, high1, low1);
    c0 = high1 ^ c1 ^ key0;
    c1 = low1;
    c2 = high0 ^ c3 ^ key1;
    c3 = low0;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  PhiloxWords words;
  words.word[0] = c0;
  words.word[1] = c1;
  words.word[2] = c2;
  words.word[3] = c3;
  return words;
}

// ---- exp and log in f32: drivers' own are wrong by up to 64 ulp. Taylor series on the reduced argument, about 1 ulp
// ----
TANDEM_FN float exp_f32(float x) {
  if (!(x < 88.8f)) return x != x ? x : bits_float(0x7f800000u);
  if (x < -104.0f) return 0.0f;
  PRECISE float n = floor(x * 1.44269504f + 0.5f);
  PRECISE float r = x - n * 0.693359375f;  // ln 2 in two parts; the first has 9 bits, so the product is exact
  r = r - n * -2.12194440e-4f;
  PRECISE float p = 1.98412698e-4f;
  p = p * r + 1.38888889e-3f;
  p = p * r + 8.33333333e-3f;
  p = p * r + 4.16666667e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = p * (r * r) + r;
  p = p + 1.0f;
  const int32_t exponent = int32_t(n), first = exponent / 2;  // in two steps: 2^-149 and 2^128 are no normal f32
  PRECISE float y = p * power_of_two(first);
  y = y * power_of_two(exponent - first);
  return y;
}

// natural logarithm of a positive normal f32; 0 gives -inf, a negative or NaN gives NaN, inf gives inf
TANDEM_FN float log_f32(float x) {
  const uint32_t u = float_bits(x);
  if ((u & 0x7fffffffu) == 0u) return bits_float(0xff800000u);
  if (u >= 0x7f800000u) return u == 0x7f800000u ? x : bits_float(0x7fc00000u);
  const int32_t exponent = int32_t((u + (0x3f800000u - 0x3f3504f3u)) >> 23) - 127;  // mantissa in [sqrt(1/2), sqrt(2))
  PRECISE float f = bits_float(u - (uint32_t(exponent) << 23)) - 1.0f;
  PRECISE float s = f / (2.0f + f);
  PRECISE float z = s * s;
  PRECISE float series = z * (0.66666667f + z * (0.4f + z * (0.28571429f + z * 0.22222222f)));
  PRECISE float half_square = 0.5f * f * f;
  PRECISE float correction = s * (half_square + series) + float(exponent) * -2.12194440e-4f;
  PRECISE float y = (f - (half_square - correction)) + float(exponent) * 0.693359375f;
  return y;
}

// 1 - exp(x) for x <= 0, without cancellation near 0
TANDEM_FN float one_minus_exp(float x) {
  if (x < -0.5f) return 1.0f - exp_f32(x);
  PRECISE float p = 2.48015873e-5f;
  p = p * x + 1.98412698e-4f;
  p = p * x + 1.38888889e-3f;
  p = p * x + 8.33333333e-3f;
  p = p * x + 4.16666667e-2f;
  p = p * x + 1.66666667e-1f;
  p = p * x + 0.5f;
  p = p * (x * x) + x;
  return -p;
}

// x * sigmoid(x), and its derivative sigmoid(x) * (1 + x * (1 - sigmoid(x)))
TANDEM_FN float silu(float x) {
  PRECISE float y = x / (1.0f + exp_f32(-x));
  return y;
}

TANDEM_FN float silu_derivative(float x) {
  PRECISE float e = exp_f32(x < 0.0f ? x : -x);
  PRECISE float larger = 1.0f / (1.0f + e);  // sigmoid(x) and 1 - sigmoid(x): neither is a difference that cancels
  PRECISE float smaller = e * larger;
  PRECISE float y = x < 0.0f ? smaller * (1.0f + x * larger) : larger * (1.0f + x * smaller);
  return y;
}

#ifdef __cplusplus
}  // namespace tandem::abi
#endif
#endif
