#include "core/step/step_shape.h"

#include <algorithm>
#include <limits>

#include "core/base/message.h"
#include "core/base/size.h"
#include "core/model/head.h"

namespace tandem {
namespace {

// core/abi counts an operand's elements in 32 bits.
void check_sizes(const ModelConfig& config, const StepShape& shape) {
  constexpr uint64_t kMost = std::numeric_limits<uint32_t>::max();
  const uint64_t widest = widest_row(config);
  const uint64_t most_sequences = kMost / (shape.sequence_length * widest);
  if (most_sequences == 0)
    fail(Exit::does_not_fit, "data.sequence_length", "{} is too long for this model; the longest that fits is {}",
         shape.sequence_length, kMost / widest);
  if (shape.micro_batch > most_sequences)
    fail(Exit::does_not_fit, "batch.micro_batch", "{} sequences of {} tokens are too many; the most that fits is {}",
         shape.micro_batch, shape.sequence_length, most_sequences);
  const uint64_t most_steps = kMost / (2 * uint64_t(shape.rows()));  // the inputs of two steps in one operand
  if (shape.accumulation > most_steps)
    fail(Exit::does_not_fit, "batch.gradient_accumulation", "{} is too many; the most that fits is {}",
         shape.accumulation, most_steps);
}

// A chunk's logits are one operand.
void check_logits(const ModelConfig& config, const StepShape& shape, std::optional<uint32_t> chunks) {
  const uint64_t rows = shape.rows(), most = most_chunk_rows(config), least = divide_up(rows, most);
  if (most < kHeadChunkRows && least > 1)
    fail(Exit::does_not_fit, "vocab_size",
         "{} makes 2^32 logits or more of {} tokens; the most batch.micro_batch * data.sequence_length that fits is {}",
         config.vocabulary, rows, most);
  if (chunks && *chunks < least)
    fail(Exit::does_not_fit, "memory.lm_head_chunks",
         "{} makes a chunk of 2^32 logits or more; use at least {}, or \"auto\"", *chunks, least);
}

}  // namespace

uint64_t widest_row(const ModelConfig& config) {
  const uint64_t qkv = uint64_t(config.head_dim) * (config.q_heads + 2 * uint64_t(config.kv_heads));
  return std::max({uint64_t(config.hidden), qkv, 2 * uint64_t(config.padded_ffn())});
}

uint64_t most_chunk_rows(const ModelConfig& config) {
  const uint64_t rows = std::numeric_limits<uint32_t>::max() / config.padded_vocabulary();
  return rows < kHeadChunkRows ? rows : rows / kHeadChunkRows * kHeadChunkRows;
}

uint32_t choose_head_chunks(const ModelConfig& config, const Precision& precision, const StepShape& shape,
                            uint64_t logit_bytes) {
  const uint64_t row = config.padded_vocabulary() * size_of(precision.compute());
  const uint64_t rows = std::max<uint64_t>(kHeadChunkRows, logit_bytes / row / kHeadChunkRows * kHeadChunkRows);
  return uint32_t(divide_up(shape.rows(), rows));
}

StepShape with_head_chunks(StepShape shape, const ModelConfig& config, const Precision& precision,
                           std::optional<uint32_t> chunks) {
  check_sizes(config, shape);
  check_logits(config, shape, chunks);
  shape.head_chunks = chunks.value_or(choose_head_chunks(config, precision, shape));
  return shape;
}

void check_multiples(const ModelConfig& config, const Precision& precision, uint64_t rows) {
  const uint32_t multiple = size_multiple(precision.recipe);
  const auto divisible = [&](const char* key, uint64_t size) {
    if (size % multiple != 0)
      fail(Exit::configuration, key,
           "is {}, expected a multiple of {} under the recipe {}; use precision.recipe = \"bf16\"", size, multiple,
           name_of(precision.recipe));
  };
  divisible("hidden_size", config.hidden);
  divisible("num_attention_heads * head_dim", uint64_t(config.q_heads) * config.head_dim);
  divisible("num_key_value_heads * head_dim", uint64_t(config.kv_heads) * config.head_dim);
  divisible("intermediate_size", config.ffn);
  divisible("batch.micro_batch * data.sequence_length", rows);
}

void warn_of_length(std::string_view key, uint64_t sequence_length, const ModelConfig& config) {
  if (sequence_length > config.max_positions)
    warn(fmt::format("{} {} is above the model's max_position_embeddings {}", key, sequence_length,
                     config.max_positions));
}

}  // namespace tandem
