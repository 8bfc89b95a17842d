// gradient (any, columns), update (16) u32, m e4m3, m_scale u8 -> u (rows, columns) bf16, m, m_scale in place. The
// caller sets all parameters but columns.
#include "core/abi/muon_momentum_8bit.h"

#include "core/abi/step_scalars.h"
#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  auto p = parameters.as<abi::MuonMomentum8bit>();
  const Inputs in("muon_momentum_8bit", inputs, 4, 4);
  const Shape& shape = in.matrix(0, "gradient", 4).shape;
  p.columns = u32(shape[1]);
  in.expect(1, "update", u32_desc({abi::kStepScalarWords}));
  in.expect(2, "m", {DType::e4m3, shape});
  in.expect(3, "m_scale", {DType::u8, {shape[0], abi::state_blocks(p.columns)}});
  require(p.rows > 0 && uint64_t(p.first_row) + p.rows <= shape[0], "muon_momentum_8bit: {} rows from {} on of {}",
          p.rows, p.first_row, in[0]);
  parameters = Parameters(p);
  return {.outputs = {{DType::bf16, {p.rows, p.columns}}, in[2], in[3]}, .in_place = 2, .first_output = 1};
}

// what muon_momentum does, and codes: largest of a block, exponents, random bits; of gradient and m the rows alone
Cost cost(const Parameters& parameters, Operands operands) {
  const auto p = parameters.as<abi::MuonMomentum8bit>();
  const uint64_t count = uint64_t(p.rows) * p.columns, scales = 2 * uint64_t(p.rows) * abi::state_blocks(p.columns);
  return {.flops = 20 * count, .bytes = count * (size_of(operands[0].dtype) + 4) + scales};
}

// Codes and scales of equal operands have equal bits.
Budget budget(const Parameters&, Operands operands, size_t i) {
  return operands[i].dtype == DType::bf16 ? Budget::elementwise : Budget::exact;
}

}  // namespace

const Op muon_momentum_8bit{.infer = infer, .cost = cost, .cost_class = CostClass::optimizer, .budget = budget};

}  // namespace tandem::ops
