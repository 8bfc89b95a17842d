// q (rows, columns) e4m3, multiples of 16 -> qt (columns, rows) e4m3
#include "core/abi/transpose.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("transpose", inputs, 1, 1);
  const Shape& q = in[0].shape;
  require(in[0].dtype == DType::e4m3 && q.rank() == 2 && q.count() > 0 && q[0] % 16 == 0 && q[1] % 16 == 0,
          "transpose: q is {}, expected e4m3 and two axes that are multiples of 16", in[0]);
  parameters = Parameters(abi::Transpose{.rows = u32(q[0]), .columns = u32(q[1])});
  return {.outputs = {{DType::e4m3, {q[1], q[0]}}}};
}

Cost cost(const Parameters&, Operands operands) {
  return {.flops = 0, .bytes = bytes_of(operands)};
}

}  // namespace

const Op transpose{.infer = infer, .cost = cost, .budget = always<Budget::exact>};

}  // namespace tandem::ops
