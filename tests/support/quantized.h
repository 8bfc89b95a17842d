// Reference of quantization: scale and codes by search, independent of core/abi/numeric.h.
#pragma once

#include "core/abi/amax.h"
#include "core/abi/quantize.h"
#include "tests/support/e4m3_nearest.h"
#include "tests/support/op_case.h"

namespace tandem::test {

// the codes that tensors get under an amax word
struct ReferenceScale {
  bool poisoned;
  int k = 0;

  explicit ReferenceScale(uint32_t amax) : poisoned(amax >= 0x7f800000u) {
    const float value = abi::bits_float(amax);
    if (value == 0 || !std::isfinite(value)) return;
    for (k = 63; k > -63 && std::ldexp(double(value), k) > 448;) --k;
  }
  bool operator==(const ReferenceScale&) const = default;
  uint32_t code(double x) const { return poisoned ? 0x7f : e4m3_nearest(std::ldexp(x, k)); }
  double of_codes() const { return poisoned ? double(NAN) : std::ldexp(1.0, -k); }
};

// codes of x (rows, columns) into q and, transposed, qt; either may be absent
inline void reference_codes(const Tensor& x, const ReferenceScale& scale, Tensor& q, Tensor& qt) {
  const uint64_t rows = x.desc().shape[0], columns = x.desc().shape[1];
  for (uint64_t r = 0; r < rows; ++r)
    for (uint64_t c = 0; c < columns; ++c) {
      const uint32_t code = scale.code(x.get(r * columns + c));
      if (q.present()) q.set_bits(r * columns + c, code);
      if (qt.present()) qt.set_bits(c * rows + r, code);
    }
}

// What an op that made `result` does with its operands behind its own: see core/ops/quantized.h.
inline void reference_result(const Tensor& result, uint32_t mode, Operands o) {
  Tensor &known = o[0], &q = o[1], &qt = o[2], &scale = o[3], &amax = o[4];
  if (mode == abi::kScaleGuessed) {
    reference_codes(result, ReferenceScale(amax.u32(abi::kAmaxGuess)), q, qt);
    return update_amax(result, amax);
  }
  const ReferenceScale wanted(known.u32(0));
  if (mode == abi::kScaleKnown || wanted != ReferenceScale(known.u32(abi::kAmaxGuess)))
    reference_codes(result, wanted, q, qt);
  scale.set(0, wanted.of_codes());
}

// amax words as float bits: what is known so far, and what was guessed
inline Input amax_words(float amax, float guess) {
  return in(DType::u32, {abi::kAmaxWords}, words({abi::float_bits(amax), abi::float_bits(guess)}));
}

}  // namespace tandem::test
