// From gradients to updated parameters: norm, verdict and report, then the optimizer's own nodes.
#pragma once

#include "core/model/batch.h"
#include "core/optimizer/optimizer.h"

namespace tandem {

struct Gradients {
  std::span<const ParameterSpec> specs;
  std::span<const ValueId> parameters, gradients;  // by spec
  ValueId loss;                                    // (1) f32, the sum since begin
  ValueId scalars;                                 // (16) u32, abi StepScalars
  ValueId counter;                                 // (16) i32
  ValueId scale_counts;                            // (2) u32, see Quantizer; absent where no scale is guessed
};

struct Clipping {
  double grad_clip = 1.0;  // 0: off
  ClipBy clip_by = ClipBy::step;
};

// The binding of the last finite norm of a step, (1) f32; 0 before there is one.
constexpr std::string_view kLastNorm = "last_norm";

// Emits the range update. Declares updates (1) u32, the external report (2, 16) u32, abi StepReport, with
// ClipBy::previous last_norm, and a variable per state, named as its parameter with the state's suffix.
void emit_update(Graph& graph, const Optimizer& optimizer, const Gradients& gradients, const Clipping& clipping);

}  // namespace tandem
