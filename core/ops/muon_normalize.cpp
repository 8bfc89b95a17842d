// partials f32, u f32 or bf16 -> x in place of u
#include "core/abi/muon_normalize.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("muon_normalize", inputs, 2, 2);
  const uint64_t partials = in[0].shape.count(), count = in.floats(1, "u").shape.count();
  in.expect(0, "partials", f32_desc({partials}));
  require(partials > 0 && count > 0 && count % 4 == 0,
          "muon_normalize: partials are {}, u is {}, expected whole blocks of 4", in[0], in[1]);
  parameters = Parameters(abi::MuonNormalize{.count = u32(count), .partials = u32(partials)});
  return {.outputs = {in[1]}, .in_place = 1, .first_output = 0};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = operands[1].shape.count(), .bytes = bytes_of(operands) + operands[1].bytes()};
}

}  // namespace

const Op muon_normalize{
    .infer = infer, .cost = cost, .cost_class = CostClass::optimizer, .budget = always<Budget::elementwise>};

}  // namespace tandem::ops
