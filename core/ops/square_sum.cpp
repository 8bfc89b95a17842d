// x f32 or bf16, any shape -> partials (ceil(count / 65536), padded to a multiple of 64) f32. The caller may set first
// and part.
#include "core/abi/square_sum.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

constexpr uint32_t kPack = 8;      // elements that kernels read at once
constexpr uint64_t kPadding = 64;  // partials of several tensors stand side by side, each at an operand's alignment

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("square_sum", inputs, 1, 1);
  const uint64_t all = in.floats(0, "x").shape.count();
  auto p = parameters.as<abi::SquareSum>();
  p.count = p.part > 0 ? p.part : u32(all);
  require(p.first % kPack == 0 && uint64_t(p.first) + p.count <= all,
          "square_sum: {} elements from {} on of {}, expected a part that begins at a multiple of {}", p.count, p.first,
          in[0], kPack);
  parameters = Parameters(p);
  const uint64_t blocks = (uint64_t(p.count) + abi::kSquareSumBlock - 1) / abi::kSquareSumBlock;
  return {.outputs = {f32_desc({(blocks + kPadding - 1) / kPadding * kPadding})}};
}

Cost cost(const Parameters& parameters, Operands operands) {
  const uint64_t count = parameters.as<abi::SquareSum>().count;
  return {.flops = 2 * count, .bytes = count * size_of(operands[0].dtype) + operands[1].bytes()};
}

}  // namespace

const Op square_sum{.infer = infer, .cost = cost, .cost_class = CostClass::gradient_norm};

}  // namespace tandem::ops
