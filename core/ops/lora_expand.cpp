// t (rows, count * rank) f32 or bf16, b (rows of b, rank) as t -> c (rows, ldc) as t. The caller sets rank, ldc, scale
// and parts.
#include "core/abi/lora_expand.h"

#include "core/abi/lora_expand_backward.h"
#include "core/abi/lora_expand_weight_gradient.h"
#include "core/ops/lora_parts.h"
#include "core/ops/vjp.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::LoraExpand>();
  const Inputs in("lora_expand", inputs, 2, 2);
  const TensorDesc& t = in.matrix(0, "t", 8);
  const uint64_t rows_of_b = check_parts("lora_expand", p.parts, p.rank, p.ldc);
  p.rows = u32(t.shape[0]);
  in.expect(0, "t", {t.dtype, {p.rows, uint64_t{p.parts.count} * p.rank}});
  in.expect(1, "b", {t.dtype, {rows_of_b, p.rank}});
  require(uint64_t(p.rows) * p.ldc <= UINT32_MAX, "lora_expand: c ({}, {}), expected fewer than 2^32 elements", p.rows,
          p.ldc);
  parameters = Parameters(p);
  return {.outputs = {{t.dtype, {p.rows, p.ldc}}}};
}

void vjp(Backward& b, const OpNode& n) {
  const ValueId t = n.inputs[0], weight = n.inputs[1], dy = b.cotangent(n.outputs[0]);
  if (!dy.present()) return;
  const auto p = n.parameters.as<abi::LoraExpand>();
  if (b.has_accumulator(weight)) {
    const abi::LoraExpandWeightGradient w{.rank = p.rank, .scale = p.scale, .parts = p.parts};
    const auto g = b.emit(n, OpId::lora_expand_weight_gradient, Parameters(w), {dy, t, b.accumulator(weight)});
    b.update_accumulator(weight, g[0]);
  }
  if (!b.wants_cotangent(t)) return;
  const abi::LoraExpandBackward x{.rank = p.rank, .scale = p.scale, .parts = p.parts};
  b.add(t, b.emit(n, OpId::lora_expand_backward, Parameters(x), {dy, weight})[0]);
}

Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::LoraExpand>();
  return {.flops = part_flops(p.parts, p.rows, p.rank), .bytes = bytes_of(operands)};
}

}  // namespace

const Op lora_expand{.infer = infer, .vjp = vjp, .cost = cost};

}  // namespace tandem::ops
