#include "core/run/settings.h"

#include <algorithm>
#include <limits>

#include "core/base/message.h"
#include "core/data/bytes_tokenizer.h"
#include "core/data/tokenizer_files.h"
#include "core/run/saved_state.h"

namespace tandem {
namespace {

// Writes what `source(dtype, sink)` yields to the parameters, and once more, as f32, to the masters where the program
// keeps them.
template <typename Source>
void fill_parameters(Session& session, const Precision& precision, const Source& source) {
  source(precision.compute(), [&](const ParameterSpec& spec, auto data) { session.write(spec.name, data); });
  if (precision.master)
    source(DType::f32, [&](const ParameterSpec& spec, auto data) {
      if (session.has(spec.name + ".master")) session.write(spec.name + ".master", data);
    });
}

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

// a directory with no tokenizer of its own, and room for the bytes
bool uses_bytes_tokenizer(const ModelSource& model) {
  return !tokenizer_files(model.path).has_tokenizer && model.config.vocabulary >= BytesTokenizer::kVocabulary;
}

}  // namespace

void warn(const std::string& text) {
  write_message(fmt::format("tandem: warning: {}\n", text));
}

void warn_of_length(std::string_view key, uint64_t sequence_length, const ModelConfig& config) {
  if (sequence_length > config.max_positions)
    warn(fmt::format("{} {} is above the model's max_position_embeddings {}", key, sequence_length,
                     config.max_positions));
}

ModelSource open_model(const std::string& path) {
  return {path, load_model_config(path, warn)};
}

ModelFiles open_weights(const ModelSource& model) {
  ModelFiles weights(model.path);
  check_parameters(weights, parameter_specs(model.config));
  return weights;
}

Precision precision_of(const RunConfig& config) {
  Precision p;
  const std::string& name = config.precision.recipe;
  p.recipe = name == "fp32" ? Recipe::fp32 : name == "bf16" ? Recipe::bf16 : Recipe::fp8;
  p.gradient = config.precision.gradient_dtype;
  p.m = config.optimizer.m_dtype;
  p.v = config.optimizer.v_dtype;
  p.master = config.optimizer.master_dtype == DType::f32;
  p.fast_accumulation = config.precision.fast_accumulation;
  return p;
}

Precision precision_of(const std::string& recipe, const ModelFiles& weights) {
  std::string name = recipe;
  if (name.empty()) {
    const auto names = weights.names();
    name = !names.empty() && weights.info(names.front()).type == StoredType::f32 ? "fp32" : "bf16";
  }
  for (Recipe r : {Recipe::fp32, Recipe::bf16, Recipe::fp8})
    if (name == name_of(r)) return {.recipe = r};
  fail(Exit::configuration, "--recipe", "'{}' is unknown; use fp32, bf16 or fp8", name);
}

void check_fp8(const ModelConfig& config, const Precision& precision, uint64_t rows) {
  if (!precision.fp8()) return;
  const auto divisible = [](const char* key, uint64_t size) {
    if (size % 16 != 0)
      fail(Exit::configuration, key,
           "{} is not divisible by 16, as the fp8 recipe wants; use precision.recipe = \"bf16\"", size);
  };
  divisible("hidden_size", config.hidden);
  divisible("num_attention_heads * head_dim", uint64_t(config.q_heads) * config.head_dim);
  divisible("num_key_value_heads * head_dim", uint64_t(config.kv_heads) * config.head_dim);
  divisible("intermediate_size", config.ffn);
  divisible("batch.micro_batch * data.sequence_length", rows);
}

void check_recipe(const DeviceInfo& device, const Precision& precision) {
  if (std::ranges::find(device.recipes, name_of(precision.recipe)) == device.recipes.end())
    fail(Exit::configuration, "precision.recipe", "{} does not run on {}:{} ({}); use bf16", name_of(precision.recipe),
         device.backend, device.index, device.name);
}

std::string describe(const Precision& precision, const DeviceInfo& device) {
  return fmt::format("{} on {}:{} ({})", name_of(precision.recipe), device.backend, device.index, device.name);
}

MemoryPolicy policy_of(const RunConfig::Memory& memory) {
  const auto bits_of = [](const std::vector<std::string>& words, const auto& names) {
    uint32_t bits = 0;
    for (size_t i = 0; i < std::size(names); ++i)
      if (std::ranges::find(words, names[i]) != words.end()) bits |= 1u << i;
    return bits;
  };
  MemoryPolicy policy = uniform_policy(EnumSet<Recompute>::of(bits_of(memory.recompute, kRecomputeNames)),
                                       EnumSet<Offload>::of(bits_of(memory.offload, kOffloadNames)));
  policy.attention_chunks = memory.attention_chunks.value_or(1);
  return policy;
}

Target within_budget(Target target, const RunConfig::Memory& memory) {
  if (memory.device) target.memory_bytes = std::min(target.memory_bytes, *memory.device);
  if (memory.host)
    target.host_memory_bytes =
        target.host_memory_bytes == 0 ? *memory.host : std::min(target.host_memory_bytes, *memory.host);
  return target;
}

StepShape with_head_chunks(StepShape shape, const ModelConfig& config, const Precision& precision,
                           std::optional<uint32_t> chunks) {
  check_sizes(config, shape);
  shape.head_chunks = chunks.value_or(choose_head_chunks(config, precision, shape));
  return shape;
}

void load_parameters(Session& session, const ModelSource& model, const ModelFiles& weights,
                     const Precision& precision) {
  const std::vector<ParameterSpec> specs = parameter_specs(model.config);
  fill_parameters(session, precision,
                  [&](DType dtype, const ParameterSink& sink) { load_parameters(weights, specs, dtype, sink); });
}

void initialise_parameters(Session& session, const ModelSource& model, const Precision& precision, uint64_t seed) {
  const std::vector<ParameterSpec> specs = parameter_specs(model.config);
  fill_parameters(session, precision, [&](DType dtype, const ParameterSink& sink) {
    draw_parameters(model.config, specs, seed, dtype, sink);
  });
}

void save_model(const ParameterReader& reader, const ModelSource& model, const Precision& precision,
                const std::string& out, bool replace) {
  SaveOptions options;
  if (uses_bytes_tokenizer(model))
    options.extra = {{"tokenizer.json", bytes_tokenizer_json()},
                     {"tokenizer_config.json", bytes_tokenizer_config_json()}};
  options.replace = replace;
  save_model_directory(out, model.path, precision.compute(), parameter_specs(model.config), reader, options);
}

void save_model(const Session& session, const ModelSource& model, const Precision& precision, const std::string& out) {
  std::vector<std::byte> data;
  const auto read = [&](const ParameterSpec& spec, const StoredTensor& part) {
    return read_stored(session, spec.name, part, data);
  };
  save_model(read, model, precision, out, true);
}

}  // namespace tandem
