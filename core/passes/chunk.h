// Splits instructions into parts of their operands, so that what one of them needs at a time is smaller. No bit
// changes. (The LM head is built in chunks: StepShape::head_chunks.)
#pragma once

#include "core/passes/policy.h"
#include "core/program/target.h"

namespace tandem {

// Attention's backward pass over sequences, in at most policy.attention_chunks parts; AdamW over whole rows, at most
// policy.optimizer_chunk elements in a part. Parts begin where the target's alignment allows it, so they may be larger.
Graph chunk(const Graph& graph, const MemoryPolicy& policy, const Target& target);

}  // namespace tandem
