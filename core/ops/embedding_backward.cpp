// tokens (rows) i32, dy (rows, columns), g (vocabulary, columns) f32 or bf16 -> g in place
#include "core/abi/embedding_backward.h"

#include "core/ops/inputs.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("embedding_backward", inputs, 3, 3);
  const Shape& dy = in.matrix(1, "dy", 8).shape;
  const TensorDesc& g = in.matrix(2, "g");
  in.expect(0, "tokens", i32_desc({dy[0]}));
  in.expect(2, "g", {g.dtype, {g.shape[0], dy[1]}});
  parameters =
      Parameters(abi::EmbeddingBackward{.rows = u32(dy[0]), .columns = u32(dy[1]), .vocabulary = u32(g.shape[0])});
  return {.outputs = {g}, .in_place = 1};
}

// only the rows that tokens name are read and written; workspace: an index of three words per token
Cost cost(const Parameters&, Operands operands) {
  const uint64_t values = operands[1].shape.count();
  return {.flops = values,
          .bytes = operands[0].bytes() + operands[1].bytes() + 2 * values * size_of(operands[2].dtype),
          .workspace = 3 * operands[2].shape[0] * sizeof(uint32_t)};
}

}  // namespace

const Op embedding_backward{.infer = infer, .cost = cost};

}  // namespace tandem::ops
