// A step's inputs in host memory, what begin takes from them, and the batch of a micro-step.
#pragma once

#include "core/graph/graph.h"

namespace tandem {

// Externals of two slots, by step parity, and the counter that picks slot and micro-step.
struct StepInputs {
  ValueId tokens, targets, positions;  // (2, A, B*T) i32
  ValueId scalars;                     // (2, 16) u32, abi StepScalars
  ValueId counter;                     // (16) i32
};
constexpr uint64_t kSlots = 2;

// Declares inputs.tokens, inputs.targets, inputs.positions, inputs.scalars and counter. rows: B*T
StepInputs declare_inputs(Graph& graph, uint32_t accumulation, uint32_t rows);

// The scalars of the step that begins, in begin: (16) u32.
ValueId begin_step(Graph& graph, const StepInputs& inputs);

struct Batch {
  ValueId tokens, targets, positions;  // (B*T) i32
};

// Goes on to the next micro-step, and returns its batch.
Batch load_batch(Graph& graph, Range range, const StepInputs& inputs);

}  // namespace tandem
