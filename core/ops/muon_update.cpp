// x (rows, columns), update (16) u32, p as x in dtype, master f32 when there is one -> p, master|- in place. The caller
// sets first, tensor, decay and scale.
#include "core/abi/muon_update.h"

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::MuonUpdate>();
  const Inputs in("muon_update", inputs, 3, 4);
  const uint64_t count = in.floats(0, "x").shape.count();
  const Shape& shape = in[2].shape;
  in.expect(1, "update", u32_desc({abi::kStepScalarWords}));
  in.expect(2, "p", {in[0].dtype, shape});
  const bool has_master = in.size() == 4;
  if (has_master) in.expect(3, "master", f32_desc(shape));
  require(count > 0 && count % 4 == 0 && 4 * uint64_t(p.first) + count <= shape.count(),
          "muon_update: {} from block {} on of {}, expected a part of it of whole blocks", in[0], p.first, in[2]);
  p.count = u32(count);
  p.has_master = has_master;
  parameters = Parameters(p);
  return {.outputs = {in[2], has_master ? in[3] : TensorDesc{}}, .in_place = has_master ? 2u : 1u, .first_output = 0};
}

// decay, update and the random bits of bf16 stores; of p and master the tensor's elements alone
Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::MuonUpdate>();
  const uint64_t master = p.has_master ? 2 * sizeof(float) : 0, size = size_of(operands[2].dtype);
  return {.flops = 8 * uint64_t(p.count),
          .bytes = p.count * (size_of(operands[0].dtype) + (p.has_master ? size : 2 * size) + master)};
}

}  // namespace

const Op muon_update{
    .infer = infer, .cost = cost, .cost_class = CostClass::optimizer, .budget = always<Budget::elementwise>};

}  // namespace tandem::ops
