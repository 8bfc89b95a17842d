// The graph of a whole training step: begin, micro_step, update and evaluate.
#pragma once

#include "core/model/transformer.h"
#include "core/run/config.h"

namespace tandem {

struct StepShape {
  uint32_t micro_batch = 1;         // B, sequences
  uint32_t accumulation = 1;        // A, micro-steps
  uint32_t sequence_length = 1024;  // T
  uint32_t head_chunks = 1;         // LM head: parts of the B*T tokens whose logits exist at a time

  uint32_t rows() const { return micro_batch * sequence_length; }
};

// Bindings that the graph declares beside the parameters (named as their specs; with .m, .v, .master, .gradient
// behind):
//   inputs.tokens, inputs.targets, inputs.positions (2, A, B*T) i32; inputs.scalars (2, 16) u32, abi StepScalars;
//   report (2, 16) u32; counter (16) i32, t (1) u32 and, in fp8, amax (64 words a tensor) u32, zero at first; rope (T,
//   head_dim/2, 2) f32, filled by the host; loss (1) f32, the sum since begin
Graph build_step_graph(const ModelConfig& config, const Precision& precision, const RunConfig::Optimizer& optimizer,
                       const StepShape& shape);

// Evaluation alone: begin and evaluate, no gradients or optimizer states.
Graph build_evaluation_graph(const ModelConfig& config, const Precision& precision, const StepShape& shape);

// One token of generation, in evaluate: token, position (1) i32 -> logits (1, padded vocabulary), over cache.N
// variables.
Graph build_generation_graph(const ModelConfig& config, const Precision& precision, uint32_t capacity);

// Elements that the widest activation has a token; core/abi counts an operand's elements in 32 bits.
uint64_t widest_row(const ModelConfig& config);

// LM-head chunks that keep a chunk's logits within logit_bytes.
constexpr uint64_t kLogitBytes = 64 << 20;  // within the largest operand of every device
uint32_t choose_head_chunks(const ModelConfig& config, const Precision& precision, const StepShape& shape,
                            uint64_t logit_bytes = kLogitBytes);

}  // namespace tandem
