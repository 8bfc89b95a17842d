// The graph of a whole training step: begin, micro_step, update and evaluate.
#pragma once

#include "core/graph/graph.h"
#include "core/step/step_spec.h"

namespace tandem {

// Bindings that the graph declares beside the parameters, which are named as their specs (of a frozen base in fp8, the
// codes: core/model/transformer.h); a gradient has .gradient behind that, a state its suffix:
//   inputs.tokens (of a model above a cut inputs.codes and inputs.scales, see core/model/batch.h), inputs.targets,
//   inputs.positions (2, A, B*T) i32; inputs.scalars (2, 16) u32, abi StepScalars;
//   scalars (16) u32, those of the step under way; report (2, 16) u32; counter (16) i32, updates (1) u32 and, in fp8,
//   amax (64 words per tensor) u32, zero at first; rope (T, head_dim/2, 2) f32, filled by the host; loss (1) f32, the
//   sum since begin
Graph build_step_graph(const StepSpec& spec);

// Evaluation alone: begin and evaluate, no gradients or optimizer states.
Graph build_evaluation_graph(const ModelConfig& config, const Precision& precision, const StepShape& shape,
                             const Lora& lora = {});

// What leaves a model below a cut, in evaluate: tokens, positions (sequences * sequence_length) i32 -> codes, scales
// (StreamCodes). lora: without adapters in these layers.
Graph build_stream_graph(const ModelConfig& below, const Precision& precision, uint32_t sequences,
                         uint32_t sequence_length, const Lora& lora);

// One token of generation, in evaluate: token, position (1) i32 -> logits (1, padded vocabulary), over cache.N
// variables.
Graph build_generation_graph(const ModelConfig& config, const Precision& precision, uint32_t capacity,
                             const Lora& lora = {});

}  // namespace tandem
