// A model's shape and constants, read from a Hugging Face config.json of transformers 4 or 5. What Tandem does not
// compute is refused with Exit::configuration, naming the key.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/dtype.h"
#include "core/base/size.h"

namespace tandem {

enum class Family : uint8_t { qwen2, llama, qwen3 };
enum class RopeKind : uint8_t { plain, linear, llama3 };  // plain is "default" in config.json

struct RopeConfig {
  RopeKind kind = RopeKind::plain;
  double theta = 10000;
  double factor = 1;                                 // linear, llama3
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3, as are the original positions
  uint64_t original_positions = 0;
  bool operator==(const RopeConfig&) const = default;
};

struct ModelConfig {
  Family family = Family::llama;
  uint32_t vocabulary = 0;
  uint32_t hidden = 0, ffn = 0, layers = 0;
  uint32_t q_heads = 0, kv_heads = 0, head_dim = 0;
  bool tied = false;  // the LM head is the embedding
  bool qkv_bias = false, o_bias = false;
  double rms_epsilon = 1e-6;
  double initializer_range = 0.02;
  RopeConfig rope;
  uint64_t max_positions = 0;
  std::vector<uint32_t> eos_ids;  // config.json's; empty: none
  // A model that is cut between two layers (core/model/cut.h):
  uint32_t first_layer = 0;  // the files' number of its first layer; above 0 that reads a stream, and no embedding
  bool headless = false;     // it ends with its last layer

  // what parameters hold of the ffn width: zeros behind, so that kernels find a multiple of 8
  uint32_t padded_ffn() const { return uint32_t(round_up(ffn, 8)); }
  uint32_t padded_vocabulary() const { return uint32_t(round_up(vocabulary, 16)); }
  bool head_norms() const { return family == Family::qwen3; }  // RMSNorm on each q and k head
};

using ConfigWarning = std::function<void(const std::string&)>;

// text: the file's content; file: its name in messages. Unknown keys: one warning, all in it.
ModelConfig parse_model_config(std::string_view text, std::string_view file, const ConfigWarning& warn);
// directory/config.json's
ModelConfig load_model_config(const std::string& directory, const ConfigWarning& warn);

// The ids that end a generated text: eos_token_id of generation_config.json, else config.json's.
std::vector<uint32_t> generation_eos_ids(const std::string& directory, const ModelConfig& config);

// The input's config.json with weights stored as dtype (f32 or bf16); where it has rope_parameters (transformers 5),
// with rope_theta and rope_scaling (transformers 4) too.
std::string rewrite_model_config(std::string_view text, std::string_view file, DType dtype);

// Radians a position for each pair of a head: (head_dim/2) f64, scaled as the config says.
std::vector<double> rope_frequencies(const ModelConfig& config);

// (positions, head_dim/2, 2): cos and sin, made in f64, rounded once to f32.
std::vector<float> rope_table(const ModelConfig& config, uint64_t positions);

}  // namespace tandem
