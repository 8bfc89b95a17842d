// Codes of 8-bit optimizer states: e4m3 for first moments, e5m3 for second ones, in blocks of 128 columns of a row. A
// block has a scale byte k + 127, and its codes stand for value * 2^-k; bytes of 0 stand for zeros. What is stored is
// rounded stochastically. Read as C++, CUDA and GLSL; docs/numerics.md has the definition.
#ifndef TANDEM_ABI_STATE_CODES_H
#define TANDEM_ABI_STATE_CODES_H
#include "core/abi/numeric.h"
#ifdef __cplusplus
namespace tandem::abi {
#endif

const uint32_t kStateBlock = 128u;  // columns

// scale bytes of a row
TANDEM_FN uint32_t state_blocks(uint32_t columns) {
  return (columns + kStateBlock - 1u) / kStateBlock;
}

// bytes of a row's codes and scales
TANDEM_FN uint32_t coded_row_bytes(uint32_t columns) {
  return columns + state_blocks(columns);
}

// ---- e5m3: no sign, 5 bits of exponent, 3 of mantissa; from 2^-33 to 1.875, all of them numbers ----
TANDEM_FN float f32_from_e5m3(uint32_t code) {
  if (code < 8u) return float(code) * 1.16415321826934814e-10f;  // 2^-33, exact
  return bits_float((code << 20) + (96u << 23));
}

// the largest k, from -126 to 93, with amax * 2^k <= 1.875; 0 for amax = 0. amax: bits of the largest x
TANDEM_FN int32_t e5m3_scale_exponent(uint32_t amax) {
  if (amax == 0u) return 0;
  const int32_t exponent = int32_t(amax >> 23) - 127;
  const int32_t k = (amax & 0x7fffffu) <= 0x700000u ? -exponent : -1 - exponent;
  return k > 93 ? 93 : (k < -126 ? -126 : k);
}

TANDEM_FN uint32_t scale_byte(int32_t k) {
  return uint32_t(k + 127);
}

// 2^-k
TANDEM_FN float state_scale(uint32_t byte) {
  return bits_float((254u - byte) << 23);
}

// magnitude: bits of a normal |x|. Exponent and mantissa of |x| * 2^k as a code, where least is the exponent of the
// format's least normal number: the bits below the code's last are added random ones of as many, and dropped.
TANDEM_FN uint32_t stochastic_code(uint32_t magnitude, int32_t k, int32_t least, uint32_t random) {
  const int32_t exponent = int32_t(magnitude >> 23) - 127 + k;
  const int32_t above = exponent - least;
  if (above < -11) return 0u;
  const uint32_t dropped = uint32_t(above < 0 ? 20 - above : 20);
  const uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
  const uint32_t rounded = (mantissa + (random & ((1u << dropped) - 1u))) >> dropped;
  return (above > 0 ? uint32_t(above) << 3 : 0u) + rounded;
}

// never NaN: beyond 448 * 2^-k it is that
TANDEM_FN uint32_t e4m3_from_f32_stochastic(float x, int32_t k, uint32_t random) {
  const uint32_t u = float_bits(x), magnitude = u & 0x7fffffffu;
  if (magnitude == 0u) return 0u;
  const uint32_t code = stochastic_code(magnitude, k, -6, random);
  return ((u >> 24) & 0x80u) | (code > 0x7eu ? 0x7eu : code);
}

// x >= 0. What is not zero never becomes zero: a second moment bounds its update.
TANDEM_FN uint32_t e5m3_from_f32_stochastic(float x, int32_t k, uint32_t random) {
  const uint32_t magnitude = float_bits(x);
  if (magnitude == 0u) return 0u;
  const uint32_t code = stochastic_code(magnitude, k, -30, random);
  return code == 0u ? 1u : (code > 0xffu ? 0xffu : code);
}

// ---- the moments, in operations of one f32 rounding each; what some devices flush to zero is zero on all ----
TANDEM_FN float flushed(float x) {
  return (float_bits(x) & 0x7f800000u) == 0u ? 0.0f : x;
}

// rate: 1 - beta
TANDEM_FN float next_moment(float beta, float rate, float moment, float x) {
  PRECISE float kept = beta * moment;
  PRECISE float added = rate * x;
  PRECISE float sum = flushed(kept) + flushed(added);
  return flushed(sum);
}

TANDEM_FN float next_second_moment(float beta, float rate, float moment, float g) {
  PRECISE float square = g * g;
  return next_moment(beta, rate, moment, flushed(square));
}

#ifdef __cplusplus
}  // namespace tandem::abi
#endif
#endif
