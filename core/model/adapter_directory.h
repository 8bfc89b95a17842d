// A directory of PEFT's that holds a LoRA adapter: adapter_config.json and adapter_model.safetensors (docs/lora.md says
// what is read and what is refused).
#pragma once

#include <optional>

#include "core/model/lora.h"
#include "core/model/model_directory.h"

namespace tandem {

struct AdapterDirectory {
  std::string path;
  Lora lora;           // modules: those that have tensors
  double dropout = 0;  // what it was trained with; nothing here drops anything
  TensorFile tensors;
};

// Opened and checked against the model. Exit::configuration for an adapter that computes something else; Exit::input
// for a file that is missing or malformed, A without B, a wrong shape, a tensor of no module. Warns of keys that are
// not read.
AdapterDirectory open_adapter(const std::string& path, const ModelConfig& config);

// As a RowSource, its parameters, rounded to nearest even.
void load_adapter_rows(const AdapterDirectory& adapter, const ParameterSpec& spec, uint64_t first, DType dtype,
                       std::span<std::byte> out);

// adapter_config.json. base: the model's directory.
std::string adapter_config_text(const Lora& lora, const ModelConfig& config, const std::string& base);

constexpr std::string_view kAdapterConfig = "adapter_config.json", kAdapterTensors = "adapter_model.safetensors";

// Writes such a directory, whole or not at all, as save_model_directory does. config_text: adapter_config_text.
void save_adapter(const std::string& out, const std::string& config_text, DType dtype,
                  std::span<const ParameterSpec> specs, const ParameterReader& reader, bool replace);

// The module with that name, "q_proj"; none for others.
std::optional<LoraModule> find_module(std::string_view name);
// The name of a module that is nearest to one that is unknown.
std::string_view nearest_module(std::string_view name);

}  // namespace tandem
