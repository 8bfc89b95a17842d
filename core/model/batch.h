// A step's inputs in host memory, what begin takes from them, and the batch of a micro-step.
#pragma once

#include "core/model/transformer.h"

namespace tandem {

// Externals of two slots, by step parity, and the counter that picks slot and micro-step.
struct StepInputs {
  ValueId tokens, targets, positions;  // (2, A, B*T) i32
  StreamCodes stream;                  // in place of tokens, of (2, A) micro-steps
  ValueId scalars;                     // (2, 16) u32, abi StepScalars
  ValueId counter;                     // (16) i32
};
constexpr uint64_t kSlots = 2;

// Declares inputs.tokens, inputs.targets, inputs.positions, inputs.scalars and counter; for a model above a cut
// inputs.codes and inputs.scales in place of tokens. rows: B*T
StepInputs declare_inputs(Graph& graph, const ModelConfig& config, uint32_t accumulation, uint32_t rows);

// The scalars of the step that begins, in begin: (16) u32.
ValueId begin_step(Graph& graph, const StepInputs& inputs);

struct Batch {
  ValueId input;               // tokens (B*T) i32; above a cut the stream (B*T, hidden)
  ValueId targets, positions;  // (B*T) i32
};

// Goes on to the next micro-step, and returns its batch. dtype: the stream's
Batch load_batch(Graph& graph, Range range, const StepInputs& inputs, DType dtype);

}  // namespace tandem
