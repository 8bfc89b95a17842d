#include "core/ops/quantized.h"

#include "core/abi/quantize.h"

namespace tandem::ops {

Signature quantized_signature(const Inputs& in, size_t own, const Shape& shape, uint32_t scale, bool q, bool qt) {
  require(shape[0] % 16 == 0 && shape[1] % 16 == 0, "quantize: {} is not a multiple of 16 both ways", shape);
  require(q || (qt && scale == abi::kScaleKnown), "quantize: q is not asked for");
  const TensorDesc codes = q ? TensorDesc{DType::e4m3, shape} : TensorDesc{};
  const TensorDesc transposed = qt ? TensorDesc{DType::e4m3, {shape[1], shape[0]}} : TensorDesc{};
  if (scale == abi::kScaleGuessed) {
    in.expect(own, "amax to read", {});
    in.expect(own + 1, "amax", amax_desc(true));
    return {.outputs = {codes, transposed, {}, amax_desc(true)}, .in_place = 1, .first_output = 3};
  }
  in.expect(own, "amax", amax_desc(true));
  Signature s{.outputs = {codes, transposed, f32_desc({1}), {}}};
  if (scale == abi::kScaleKnown) return s;
  in.expect(own + 1, "q", codes);
  if (qt) in.expect(own + 2, "qt", transposed);
  s.in_place = qt ? 2 : 1;
  return s;
}

uint64_t quantized_bytes(Operands operands, size_t own, uint32_t scale) {
  if (scale == abi::kScaleChecked) return operands[own].bytes();
  return bytes_of(operands);
}

Budget quantized_budget(const Parameters&, Operands operands, size_t i) {
  switch (operands[i].dtype) {
    case DType::f32:
      return Budget::scale;
    case DType::u32:
      return Budget::amax;
    default:
      return Budget::codes;
  }
}

}  // namespace tandem::ops
