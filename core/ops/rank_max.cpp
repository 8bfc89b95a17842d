// parts (ranks, ...) u32 -> y (...) u32, whose elements are a multiple of 4
#include "core/abi/rank_max.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("rank_max", inputs, 1, 1);
  const Shape& parts = in[0].shape;
  require(in[0].dtype == DType::u32 && parts.rank() >= 2 && parts[0] > 0 && parts.count() / parts[0] % 4 == 0,
          "rank_max: parts are {}, expected u32, a part per rank and a multiple of 4 elements in each", in[0]);
  const Shape y(parts.sizes().subspan(1));
  parameters = Parameters(abi::RankMax{.count = u32(y.count()), .ranks = u32(parts[0])});
  return {.outputs = {u32_desc(y)}};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = operands[0].shape.count(), .bytes = bytes_of(operands)};
}

}  // namespace

const Op rank_max{.infer = infer, .cost = cost, .budget = always<Budget::exact>};

}  // namespace tandem::ops
