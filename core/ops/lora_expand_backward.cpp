// dy (rows, ldc) f32 or bf16, b (rows of b, rank) as dy -> dt (rows, count * rank) as dy. The caller sets rank, scale
// and parts.
#include "core/abi/lora_expand_backward.h"

#include "core/ops/lora_parts.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::LoraExpandBackward>();
  const Inputs in("lora_expand_backward", inputs, 2, 2);
  const TensorDesc& dy = in.matrix(0, "dy", 8);
  p.rows = u32(dy.shape[0]);
  p.ldc = u32(dy.shape[1]);
  in.expect(1, "b", {dy.dtype, {check_parts("lora_expand_backward", p.parts, p.rank, p.ldc), p.rank}});
  parameters = Parameters(p);
  return {.outputs = {{dy.dtype, {p.rows, uint64_t{p.parts.count} * p.rank}}}};
}

Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::LoraExpandBackward>();
  return {.flops = part_flops(p.parts, p.rows, p.rank), .bytes = bytes_of(operands)};
}

}  // namespace

const Op lora_expand_backward{.infer = infer, .cost = cost};

}  // namespace tandem::ops
