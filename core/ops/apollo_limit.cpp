// partials f32, sums (2, channels) f32|-, update (16) u32, norm (any) f32 -> factor (1) f32, norm in place. The caller
// sets at.
#include "core/abi/apollo_limit.h"

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::ApolloLimit>();
  const Inputs in("apollo_limit", inputs, 4, 4);
  p.partials = u32(in[0].shape.count());
  p.channels = in.has(1) ? u32(in[1].shape.count() / 2) : 0;
  in.expect(0, "partials", f32_desc({p.partials}));
  if (in.has(1)) in.expect(1, "sums", f32_desc({2, p.channels}));
  in.expect(2, "update", u32_desc({abi::kStepScalarWords}));
  in.expect(3, "norm", f32_desc({in[3].shape.count()}));
  require(p.partials > 0 && p.at < in[3].shape.count(), "apollo_limit: partials are {}, norm {} of {}", in[0], p.at,
          in[3]);
  parameters = Parameters(p);
  return {.outputs = {f32_desc({1}), in[3]}, .in_place = 1, .first_output = 1};
}

Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::ApolloLimit>();
  return {.flops = p.partials + 2 * uint64_t(p.channels), .bytes = bytes_of(operands.first(3))};
}

}  // namespace

const Op apollo_limit{.infer = infer, .cost = cost, .cost_class = CostClass::optimizer};

}  // namespace tandem::ops
