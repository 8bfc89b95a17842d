#include "core/model/config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "core/base/file.h"
#include "core/base/json.h"

namespace tandem {
namespace {

constexpr uint64_t kMaxWidth = uint64_t{1}
                               << 24;  // bounds hidden, ffn and all heads together; keeps products in 64 bits
constexpr uint64_t kMaxOperand = uint64_t{1} << 32;  // elements
constexpr uint64_t kMaxVocabulary = (uint64_t{1} << 31) - 16;

struct FamilyRow {
  Family family;
  std::string_view model_type, architecture;
};
constexpr std::array<FamilyRow, 3> kFamilies{{{Family::qwen2, "qwen2", "Qwen2ForCausalLM"},
                                              {Family::llama, "llama", "LlamaForCausalLM"},
                                              {Family::qwen3, "qwen3", "Qwen3ForCausalLM"}}};

// Keys read here, and keys that say nothing about the function computed.
constexpr std::string_view kKnownKeys[] = {"architectures",
                                           "model_type",
                                           "vocab_size",
                                           "hidden_size",
                                           "intermediate_size",
                                           "num_hidden_layers",
                                           "num_attention_heads",
                                           "num_key_value_heads",
                                           "head_dim",
                                           "tie_word_embeddings",
                                           "rms_norm_eps",
                                           "initializer_range",
                                           "rope_theta",
                                           "rope_scaling",
                                           "rope_parameters",
                                           "max_position_embeddings",
                                           "dtype",
                                           "torch_dtype",
                                           "eos_token_id",
                                           "mlp_bias",
                                           "use_sliding_window",
                                           "sliding_window",
                                           "max_window_layers",
                                           "layer_types",
                                           "hidden_act",
                                           "attention_dropout",
                                           "quantization_config",
                                           "partial_rotary_factor",
                                           "transformers_version",
                                           "use_cache",
                                           "bos_token_id",
                                           "pad_token_id",
                                           "pretraining_tp",
                                           "_name_or_path",
                                           "_attn_implementation_autoset",
                                           "attn_implementation",
                                           "return_dict",
                                           "output_attentions",
                                           "output_hidden_states",
                                           "id2label",
                                           "label2id",
                                           "problem_type",
                                           "chunk_size_feed_forward",
                                           "is_encoder_decoder",
                                           "is_decoder"};

// a number or a list; ids past the vocabulary are never generated
std::vector<uint32_t> read_eos_ids(const JsonObject& object, uint32_t vocabulary) {
  constexpr std::string_view key = "eos_token_id";
  const Json* value = object.find(key);
  if (!value) return {};
  std::vector<uint32_t> ids;
  for (uint64_t id : value->is_array() ? *object.integers(key) : std::vector{*object.integer(key)})
    if (id < vocabulary) ids.push_back(uint32_t(id));
  return ids;
}

class Reader {
 public:
  Reader(const JsonObject& object, std::string_view file, const ConfigWarning& warn)
      : object_(object), file_(file), warn_(warn) {}

  ModelConfig read() {
    config_.family = read_family();
    refuse();
    read_sizes();
    check_sizes();
    refuse_windows();
    config_.tied = object_.boolean("tie_word_embeddings").value_or(false);
    config_.rms_epsilon = read_number(object_, "rms_norm_eps", 1e-6, 0);
    config_.initializer_range = read_number(object_, "initializer_range", 0.02, 0);
    const bool attention_bias = has_attention_bias() && object_.boolean("attention_bias").value_or(false);
    config_.qkv_bias = config_.family == Family::qwen2 || attention_bias;
    config_.o_bias = attention_bias;
    read_rope();
    read_eos();
    warn_of_unknown_keys();
    return std::move(config_);
  }

 private:
  bool has_attention_bias() const { return config_.family != Family::qwen2; }

  // model_type says it; without one the class that architectures names
  Family read_family() const {
    const auto architectures = object_.strings("architectures");
    const auto type = object_.string("model_type");
    if (!architectures) object_.require("model_type");
    const auto names = [&](std::string_view architecture) {
      return std::find(architectures->begin(), architectures->end(), architecture) != architectures->end();
    };
    for (const FamilyRow& row : kFamilies) {
      if (type ? *type != row.model_type : !names(row.architecture)) continue;
      if (architectures && !names(row.architecture))
        fail(Exit::configuration, file_, "architectures is [{:.100}]; {} was expected in it, as model_type is {}",
             fmt::join(*architectures, ", "), row.architecture, row.model_type);
      return row.family;
    }
    if (type) object_.wrong("model_type", "qwen2, llama or qwen3");
    fail(Exit::configuration, file_,
         "architectures is [{:.100}]; Qwen2ForCausalLM, LlamaForCausalLM or Qwen3ForCausalLM was expected in it",
         fmt::join(*architectures, ", "));
  }

  // what Tandem does not compute
  void refuse() const {
    if (object_.boolean("mlp_bias").value_or(false)) object_.wrong("mlp_bias", "false, for Tandem does not compute it");
    if (object_.string("hidden_act").value_or("silu") != "silu") object_.wrong("hidden_act", "silu");
    if (object_.number("attention_dropout").value_or(0) != 0) object_.wrong("attention_dropout", "0");
    if (object_.number("partial_rotary_factor").value_or(1) != 1) object_.wrong("partial_rotary_factor", "1");
    if (object_.find("quantization_config")) object_.wrong("quantization_config", "a model that is not quantized");
  }

  // Windows narrower than the longest text: layer_types says which layers have one, else use_sliding_window and
  // max_window_layers do.
  void refuse_windows() const {
    constexpr uint64_t kWindow = 4096, kFullLayers = 28;  // defaults of transformers for absent keys
    const auto is_narrow = [&] {
      const auto window = object_.integer("sliding_window");
      return (window || !object_.contains("sliding_window")) && window.value_or(kWindow) < config_.max_positions;
    };
    if (const auto types = object_.strings("layer_types")) {
      if (types->size() != config_.layers)
        fail(Exit::configuration, file_, "layer_types has {} entries, num_hidden_layers is {}", types->size(),
             config_.layers);
      for (const std::string& type : *types)
        if (type != "full_attention" && (type != "sliding_attention" || is_narrow()))
          fail(Exit::configuration, file_, "layer_types holds {:.100}; full_attention was expected throughout", type);
    } else if (object_.boolean("use_sliding_window").value_or(false) &&
               object_.integer("max_window_layers").value_or(kFullLayers) < config_.layers && is_narrow()) {
      object_.wrong(
          "use_sliding_window",
          fmt::format("false, or max_window_layers from {}, or sliding_window from {}, so that no layer has a "
                      "window, which Tandem does not compute",
                      config_.layers, config_.max_positions));
    }
  }

  uint32_t read_size(std::string_view key, uint64_t fallback, uint64_t most = kMaxWidth) const {
    return uint32_t(object_.integer(key, 1, most).value_or(fallback));
  }

  // for a value that may be a default
  [[noreturn]] void refuse_size(std::string_view key, uint64_t value, std::string_view expected) const {
    fail(Exit::configuration, file_, "key {} is {}, {} was expected", key, value, expected);
  }

  void read_sizes() {
    const bool llama = config_.family == Family::llama;
    config_.vocabulary = read_size("vocab_size", llama ? 32000 : 151936, kMaxVocabulary);
    config_.hidden = read_size("hidden_size", 4096);
    config_.ffn = read_size("intermediate_size", llama ? 11008 : 22016);
    config_.layers = read_size("num_hidden_layers", 32, 1 << 14);
    config_.q_heads = read_size("num_attention_heads", 32, 1 << 16);
    const bool own_default = llama || object_.contains("num_key_value_heads");  // null is one for each query head
    config_.kv_heads = read_size("num_key_value_heads", own_default ? config_.q_heads : 32, 1 << 16);
    config_.max_positions = object_.integer("max_position_embeddings", 1).value_or(llama ? 2048 : 32768);
    if (config_.family != Family::qwen3 && !object_.find("head_dim") && config_.hidden % config_.q_heads != 0)
      refuse_size("hidden_size", config_.hidden,
                  fmt::format("a multiple of num_attention_heads {}, or head_dim", config_.q_heads));
    config_.head_dim = read_size("head_dim", config_.family == Family::qwen3 ? 128 : config_.hidden / config_.q_heads);
  }

  void check_sizes() const {
    const ModelConfig& c = config_;
    if (c.head_dim % 8 != 0 || c.head_dim == 0 || c.head_dim > 256)
      refuse_size(object_.find("head_dim") ? "head_dim" : "head_dim (absent: hidden_size / num_attention_heads)",
                  c.head_dim, "a head size that is a multiple of 8 up to 256");
    if (c.hidden % 8 != 0) refuse_size("hidden_size", c.hidden, "a multiple of 8");
    if (c.q_heads % c.kv_heads != 0)
      refuse_size("num_key_value_heads", c.kv_heads, fmt::format("a divisor of num_attention_heads {}", c.q_heads));
    const uint64_t heads = c.q_heads + uint64_t{2} * c.kv_heads;
    if (heads * c.head_dim * c.hidden >= kMaxOperand || 2 * uint64_t{c.padded_ffn()} * c.hidden >= kMaxOperand ||
        uint64_t{c.vocabulary} * c.hidden >= kMaxOperand)
      refuse_size("hidden_size", c.hidden, "a model whose tensors each have under 2^32 elements");
  }

  // finite and at least least; more than it when strictly
  double read_number(const JsonObject& object, std::string_view key, double fallback, double least,
                     bool strictly = false) const {
    const double value = object.number(key).value_or(fallback);
    if (!std::isfinite(value) || value < least || (strictly && value == least))
      object.wrong(key, fmt::format("a number {} {}", strictly ? "above" : "from", least));
    return value;
  }

  void read_rope() {
    const double theta = read_number(object_, "rope_theta", 10000, 0, true);
    const auto scaling = object_.object("rope_scaling"), parameters = object_.object("rope_parameters");
    if (!parameters) {
      config_.rope = scaling ? read_rope_kind(*scaling, theta) : RopeConfig{.theta = theta};
      return;
    }
    config_.rope = read_rope_kind(*parameters, theta);
    if (object_.find("rope_theta") && theta != config_.rope.theta)
      object_.wrong("rope_theta", "what rope_parameters.rope_theta says");
    if (scaling && read_rope_kind(*scaling, config_.rope.theta) != config_.rope)
      object_.wrong("rope_scaling", "what rope_parameters says");
  }

  RopeConfig read_rope_kind(const JsonObject& object, double outer_theta) const {
    const auto modern = object.string("rope_type"), old = object.string("type");
    if (modern && old && *modern != *old) object.wrong("type", "what rope_type says");
    const std::string kind = modern ? *modern : old.value_or("default");
    if (object.number("partial_rotary_factor").value_or(1) != 1) object.wrong("partial_rotary_factor", "1");

    RopeConfig rope{.theta = read_number(object, "rope_theta", outer_theta, 0, true)};
    std::vector<std::string_view> known{"rope_type", "type", "rope_theta", "partial_rotary_factor",
                                        "original_max_position_embeddings"};
    if (kind == "linear" || kind == "llama3") {
      object.require("factor");
      known.push_back("factor");
      rope.kind = kind == "linear" ? RopeKind::linear : RopeKind::llama3;
      rope.factor = read_number(object, "factor", 1, 0, true);
    } else if (kind != "default") {
      object.wrong(modern ? "rope_type" : "type", "default, linear or llama3");
    }
    if (kind == "llama3") {
      for (const std::string_view key : {"low_freq_factor", "high_freq_factor", "original_max_position_embeddings"})
        object.require(key);
      known.insert(known.end(), {"low_freq_factor", "high_freq_factor"});
      rope.low_freq_factor = read_number(object, "low_freq_factor", 1, 0, true);
      rope.high_freq_factor = read_number(object, "high_freq_factor", 4, rope.low_freq_factor, true);
      rope.original_positions = *object.integer("original_max_position_embeddings", 1);
    }
    for (const std::string& key : object.keys()) {
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      if (object.find(key) && object.find(key)->is_structured()) object.wrong(key, "one kind for all layers");
      warn_(fmt::format("[{}] key {} says nothing for this rope_type and is ignored", file_, object.key_path(key)));
    }
    return rope;
  }

  void read_eos() {
    if (config_.family == Family::llama && !object_.contains("eos_token_id") && config_.vocabulary > 2)
      config_.eos_ids = {2};
    else config_.eos_ids = read_eos_ids(object_, config_.vocabulary);
  }

  void warn_of_unknown_keys() const {
    std::string unknown;
    for (const std::string& key : object_.keys()) {
      if (std::find(std::begin(kKnownKeys), std::end(kKnownKeys), key) != std::end(kKnownKeys)) continue;
      if (key == "attention_bias" && has_attention_bias()) continue;
      unknown += (unknown.empty() ? "" : ", ") + key;
    }
    if (!unknown.empty()) warn_(fmt::format("[{}] unknown keys are ignored: {}", file_, unknown));
  }

  const JsonObject& object_;
  std::string_view file_;
  const ConfigWarning& warn_;
  ModelConfig config_;
};

Json transformers4_rope_scaling(const RopeConfig& rope) {
  if (rope.kind == RopeKind::plain) return nullptr;
  Json scaling;
  scaling["rope_type"] = rope.kind == RopeKind::linear ? "linear" : "llama3";
  scaling["factor"] = rope.factor;
  if (rope.kind == RopeKind::llama3) {
    scaling["low_freq_factor"] = rope.low_freq_factor;
    scaling["high_freq_factor"] = rope.high_freq_factor;
    scaling["original_max_position_embeddings"] = rope.original_positions;
  }
  return scaling;
}

}  // namespace

ModelConfig parse_model_config(std::string_view text, std::string_view file, const ConfigWarning& warn) {
  const Json root = parse_json(text, file, Exit::configuration, JsonRules::patient);
  return Reader(JsonObject(root, file, Exit::configuration), file, warn).read();
}

ModelConfig load_model_config(const std::string& directory, const ConfigWarning& warn) {
  const std::string path = directory + "/config.json";
  return parse_model_config(read_text(path, Exit::configuration), path, warn);
}

std::vector<uint32_t> generation_eos_ids(const std::string& directory, const ModelConfig& config) {
  const std::string path = directory + "/generation_config.json";
  if (!file_exists(path)) return config.eos_ids;
  const Json root = parse_json(read_text(path, Exit::configuration), path, Exit::configuration, JsonRules::patient);
  const JsonObject object(root, path, Exit::configuration);
  return object.find("eos_token_id") ? read_eos_ids(object, config.vocabulary) : config.eos_ids;
}

std::string rewrite_model_config(std::string_view text, std::string_view file, DType dtype) {
  const ModelConfig config = parse_model_config(text, file, [](const std::string&) {});
  const Json root = parse_json(text, file, Exit::configuration, JsonRules::patient);
  const JsonObject object(root, file, Exit::configuration);
  const char* name = dtype == DType::f32 ? "float32" : "bfloat16";
  Json changes = Json::object();
  for (const char* key : {"dtype", "torch_dtype"})
    if (object.contains(key)) changes[key] = name;
  if (changes.empty()) changes["torch_dtype"] = name;
  if (object.find("rope_parameters")) {
    changes["rope_theta"] = config.rope.theta;
    changes["rope_scaling"] = transformers4_rope_scaling(config.rope);
  }
  return set_json_keys(text, file, Exit::configuration, changes);
}

}  // namespace tandem
