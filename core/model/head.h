// The LM head and the loss, over chunks of tokens so that few logits exist at a time.
#pragma once

#include "core/model/transformer.h"

namespace tandem {

constexpr uint64_t kHeadChunkRows = 64;  // chunks start at multiples, so that their parts are aligned

struct HeadInputs {
  ValueId hidden;   // (B*T, hidden), after the final norm
  ValueId targets;  // (B*T) i32
  ValueId scalars;  // (16) u32, abi StepScalars
  ValueId loss;     // (1) f32, added to in place
};

struct HeadResult {
  ValueId loss;       // (1) f32: the sum of -ln p over valid targets, added
  ValueId cotangent;  // shaped as hidden; not present() without a backward pass
};

// Logits, cross entropy and, with backward, the head's gradients, in that many chunks of the tokens.
HeadResult lm_head(Graph& graph, Range range, const Transformer& model, const HeadInputs& inputs, uint32_t chunks,
                   float z_loss, ReverseMode* backward);

// The logits of hidden (rows, hidden): (rows, padded vocabulary)
ValueId logits_of(Graph& graph, Range range, const Transformer& model, ValueId hidden);

}  // namespace tandem
