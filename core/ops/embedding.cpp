// tokens (rows) i32, table (vocabulary, columns) f32 or bf16 -> y (rows, columns) as table
#include "core/abi/embedding.h"

#include "core/abi/embedding_backward.h"
#include "core/ops/inputs.h"
#include "core/ops/vjp.h"

namespace tandem::ops {
namespace {

Signature infer(Operands inputs, Parameters& parameters) {
  const Inputs in("embedding", inputs, 2, 2);
  const TensorDesc& table = in.matrix(1, "table", 8);
  const uint64_t rows = in[0].shape.count();
  in.expect(0, "tokens", i32_desc({rows}));
  parameters =
      Parameters(abi::Embedding{.rows = u32(rows), .columns = u32(table.shape[1]), .vocabulary = u32(table.shape[0])});
  return {.outputs = {{table.dtype, {rows, table.shape[1]}}}};
}

void vjp(Backward& b, const OpNode& n) {
  const ValueId dy = b.cotangent(n.outputs[0]), table = n.inputs[1];
  if (!dy.present() || !b.has_accumulator(table)) return;
  const auto g = b.emit(n, OpId::embedding_backward, Parameters(abi::EmbeddingBackward{}),
                        {n.inputs[0], dy, b.accumulator(table)});
  b.update_accumulator(table, g[0]);
}

// only the rows that tokens name are read
Cost cost(const Parameters&, Operands operands) {
  return {.flops = 0, .bytes = operands[0].bytes() + 2 * operands[2].bytes()};
}

}  // namespace

const Op embedding{.infer = infer, .vjp = vjp, .cost = cost, .budget = always<Budget::exact>};

}  // namespace tandem::ops
