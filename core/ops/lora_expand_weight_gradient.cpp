// dy (rows, ldc) f32 or bf16, t (rows, count * rank) as dy, g (rows of b, rank) f32 or bf16 -> g in place. The caller
// sets rank, scale and parts.
#include "core/abi/lora_expand_weight_gradient.h"

#include "core/ops/lora_parts.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::LoraExpandWeightGradient>();
  const Inputs in("lora_expand_weight_gradient", inputs, 3, 3);
  const TensorDesc& dy = in.matrix(0, "dy", 8);
  p.rows = u32(dy.shape[0]);
  p.ldc = u32(dy.shape[1]);
  p.rows_of_b = u32(check_parts("lora_expand_weight_gradient", p.parts, p.rank, p.ldc));
  in.expect(1, "t", {dy.dtype, {p.rows, uint64_t{p.parts.count} * p.rank}});
  in.expect(2, "g", {in.floats(2, "g").dtype, {p.rows_of_b, p.rank}});
  parameters = Parameters(p);
  return {.outputs = {in[2]}, .in_place = 1};
}

Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::LoraExpandWeightGradient>();
  return {.flops = part_flops(p.parts, p.rows, p.rank), .bytes = bytes_of(operands) + operands[2].bytes()};
}

}  // namespace

const Op lora_expand_weight_gradient{.infer = infer, .cost = cost};

}  // namespace tandem::ops
