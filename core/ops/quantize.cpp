// x (rows, columns) bf16, amax (64) u32 -> q (rows, columns) e4m3|-, qt (columns, rows) e4m3|-, scale (1) f32, each in
// place of an input behind amax, where these are given. The caller sets has_q and has_qt.
#include "core/abi/quantize.h"

#include "core/ops/quantized.h"
#include "core/ops/vjp.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::Quantize>();
  const Inputs in("quantize", inputs, 2, 5);
  const Shape& x = in.matrix(0, "x", 16).shape;
  require(x[0] % 16 == 0, "quantize: x is {}, expected a multiple of 16 rows", in[0]);
  require(p.has_q || p.has_qt, "quantize: neither q nor qt is asked for");
  in.expect(0, "x", {DType::bf16, x});  // the fp8 recipe's only activation and parameter dtype
  in.expect(1, "amax", amax_desc(true));
  p.rows = u32(x[0]);
  p.columns = u32(x[1]);
  parameters = Parameters(p);
  const TensorDesc q{DType::e4m3, x}, qt{DType::e4m3, {x[1], x[0]}};
  Signature signature{.outputs = {p.has_q ? q : TensorDesc{}, p.has_qt ? qt : TensorDesc{}, f32_desc({1})}};
  if (in.size() == 2) return signature;
  constexpr std::string_view kOnto[] = {"q", "qt", "scale"};
  for (size_t i = 0; i < 3; ++i)
    if (in.has(2 + i)) in.expect(2 + i, kOnto[i], signature.outputs[i]);
  require(in.size() == 5, "quantize: {} inputs, expected 2 or 5", in.size());
  signature.in_place = 3;
  signature.replaces = true;
  return signature;
}

// straight through: the cotangent of the codes is the cotangent of x
void vjp(Backward& b, const OpNode& n) {
  if (!n.outputs[0].present()) return;
  const ValueId dq = b.cotangent(n.outputs[0]);
  if (dq.present()) b.add(n.inputs[0], dq);
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = operands[0].shape.count(), .bytes = bytes_of(operands)};
}

Budget budget(const Parameters&, Operands operands, size_t i) {
  return operands[i].dtype == DType::f32 ? Budget::scale : Budget::exact;
}

Clone clone(const OpNode& n, Outputs wanted, Outputs) {
  return {wanted_copies<abi::Quantize>(n.parameters, wanted), n.inputs};
}

OnRows on_rows(size_t output) {
  constexpr OnRows kOutputs[] = {OnRows::rows, OnRows::columns, OnRows::same};
  return kOutputs[output];
}

}  // namespace

const Op quantize{.infer = infer,
                  .vjp = vjp,
                  .cost = cost,
                  .budget = budget,
                  .on_rows = on_rows,
                  .only = wanted_copies<abi::Quantize>,
                  .clone = clone};

}  // namespace tandem::ops
