// The sizes of a training step, and whether a model's operands can have them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/model/config.h"
#include "core/model/precision.h"

namespace tandem {

struct StepShape {
  uint32_t micro_batch = 1;         // B, sequences
  uint32_t accumulation = 1;        // A, micro-steps
  uint32_t sequence_length = 1024;  // T
  uint32_t head_chunks = 1;         // LM head: parts of the B*T tokens whose logits exist at a time

  uint32_t rows() const { return micro_batch * sequence_length; }
};

// Elements per token of the widest activation; core/abi counts an operand's elements in 32 bits.
uint64_t widest_row(const ModelConfig& config);

// The most rows whose logits are fewer than 2^32 elements: a multiple of kHeadChunkRows, or fewer than these.
uint64_t most_chunk_rows(const ModelConfig& config);

// LM-head chunks that keep a chunk's logits within logit_bytes.
constexpr uint64_t kLogitBytes = 64 << 20;  // within the largest operand of every device
uint32_t choose_head_chunks(const ModelConfig& config, const Precision& precision, const StepShape& shape,
                            uint64_t logit_bytes = kLogitBytes);

// The shape with the LM-head chunks asked for, or else chosen. Exit::does_not_fit where an operand would have 2^32
// elements, naming the key and the most that fits.
StepShape with_head_chunks(StepShape shape, const ModelConfig& config, const Precision& precision,
                           std::optional<uint32_t> chunks = {});

// Exit::configuration, naming the key, where hidden, q and k/v widths, ffn or rows (micro_batch * T) are not multiples
// of the recipe's size_multiple.
void check_multiples(const ModelConfig& config, const Precision& precision, uint64_t rows);

// Warns of windows longer than the model's max_position_embeddings; key: the key or flag that says so.
void warn_of_length(std::string_view key, uint64_t sequence_length, const ModelConfig& config);

}  // namespace tandem
