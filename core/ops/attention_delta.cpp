// dout (batch * sequence_length, q_heads * head_dim), out as dout -> delta (batch, q_heads, sequence_length) f32.
// The caller sets sequence_length, q_heads and head_dim.
#include "core/abi/attention_delta.h"

#include "core/ops/attention_sizes.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::AttentionDelta>();
  const Inputs in("attention_delta", inputs, 2, 2);
  const TensorDesc& dout = in.matrix(0, "dout");
  require(dout.shape[1] == uint64_t(p.q_heads) * p.head_dim && p.sequence_length > 0 &&
              dout.shape[0] % p.sequence_length == 0,
          "attention_delta: dout is {}, expected {} heads of {} and a multiple of {} rows", dout, p.q_heads, p.head_dim,
          p.sequence_length);
  in.expect(1, "out", dout);
  p.batch = u32(dout.shape[0] / p.sequence_length);
  parameters = Parameters(p);
  return {.outputs = {f32_desc({p.batch, p.q_heads, p.sequence_length})}};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = 2 * operands[0].shape.count(), .bytes = bytes_of(operands)};
}

}  // namespace

const Op attention_delta{
    .infer = infer, .cost = cost, .split = {.by = SplitBy::sequences, .units = batch_of<abi::AttentionDelta>}};

}  // namespace tandem::ops
