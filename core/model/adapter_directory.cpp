#include "core/model/adapter_directory.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "core/base/edit_distance.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/message.h"
#include "core/model/cut.h"

namespace tandem {
namespace {

// Keys that are read or refused here, and keys that say nothing about the function computed.
constexpr std::string_view kKnownKeys[] = {"peft_type",
                                           "task_type",
                                           "base_model_name_or_path",
                                           "r",
                                           "lora_alpha",
                                           "lora_dropout",
                                           "target_modules",
                                           "use_rslora",
                                           "use_dora",
                                           "lora_bias",
                                           "bias",
                                           "fan_in_fan_out",
                                           "modules_to_save",
                                           "rank_pattern",
                                           "alpha_pattern",
                                           "target_parameters",
                                           "layer_replication",
                                           "trainable_token_indices",
                                           "init_lora_weights",
                                           "inference_mode",
                                           "layers_to_transform",
                                           "layers_pattern",
                                           "exclude_modules",
                                           "revision",
                                           "peft_version",
                                           "megatron_core",
                                           "qalora_group_size"};

bool says_nothing(const Json& value) {
  return value.is_null() || value == false || value == 0 ||
         ((value.is_structured() || value.is_string()) && value.empty());
}

bool has(const Json& json, std::string_view key) {
  const auto found = json.find(key);
  return found != json.end() && !says_nothing(*found);
}

// What would make another function of the same tensors.
void refuse_other_methods(const Json& json, const JsonObject& object, const std::string& file) {
  const auto refuse = [&](std::string_view key, std::string_view why) {
    fail(Exit::configuration, file, "{} is {}, {}; use an adapter without it", key,
         json.find(key)->dump().substr(0, 100), why);
  };
  if (const auto type = object.string("peft_type"); type != "LORA")
    fail(Exit::configuration, file, "peft_type is {:.60}, expected LORA", type.value_or("missing"));
  for (const char* key : {"use_dora", "lora_bias", "fan_in_fan_out"})
    if (has(json, key)) refuse(key, "which is not computed");
  if (const auto bias = object.string("bias"); bias && *bias != "none") refuse("bias", "and biases are frozen");
  for (const char* key : {"modules_to_save", "rank_pattern", "alpha_pattern", "target_parameters", "layer_replication",
                          "trainable_token_indices"})
    if (has(json, key)) refuse(key, "and one rank and one alpha for linears are all that is computed");
  if (const Json* init = object.find("init_lora_weights"); init != nullptr && init->is_string())
    for (const char* changing : {"pissa", "olora", "corda", "loftq"})
      if (init->get<std::string>().starts_with(changing)) refuse("init_lora_weights", "which changes the base");
}

void warn_of_unknown(const Json& json, const std::string& file) {
  for (const auto& [key, value] : json.items())
    if (std::ranges::find(kKnownKeys, key) == std::end(kKnownKeys) && !says_nothing(value))
      warn(fmt::format("{}: key {:.60} is not read", file, key));
}

Lora read_scale(const JsonObject& object, const std::string& file) {
  object.require("r");
  object.require("lora_alpha");
  Lora lora;
  const uint64_t rank = *object.integer("r");
  if (rank < 1 || rank > kMostLoraRank)
    fail(Exit::configuration, file, "r is {}, expected a rank from 1 to {}", rank, kMostLoraRank);
  lora.rank = uint32_t(rank);
  lora.alpha = *object.number("lora_alpha");
  if (!(lora.alpha > 0)) fail(Exit::configuration, file, "lora_alpha is {}, expected a number above 0", lora.alpha);
  lora.rslora = object.boolean("use_rslora").value_or(false);
  return lora;
}

struct Place {
  uint32_t layer = 0;
  LoraModule module{};
};

// "model.layers.3.self_attn.q_proj", behind a prefix or not
std::optional<Place> place_of(std::string_view path) {
  constexpr std::string_view kLayers = "model.layers.";
  const size_t at = path.find(kLayers);
  if (at == path.npos) return {};
  const char *first = path.data() + at + kLayers.size(), *end = path.data() + path.size();
  uint32_t layer = 0;
  const auto [rest, error] = std::from_chars(first, end, layer);
  const auto module = find_module(path.substr(path.rfind('.') + 1));
  if (error != std::errc() || !module) return {};
  const std::string whole = peft_name(layer, *module);
  return std::string_view(whole).ends_with(path) ? std::optional(Place{layer, *module}) : std::nullopt;
}

// A list's names have tensors; a string is a rule that PEFT has evaluated when it made them.
void check_targets(const JsonObject& object, const Lora& lora, const std::string& file) {
  const Json* targets = object.find("target_modules");
  if (targets == nullptr || targets->is_string()) return;
  const EnumSet<LoraModule> all = lora.all_modules();
  const std::vector<std::string> names = *object.strings("target_modules");
  for (const std::string& name : names) {
    const std::string_view last = std::string_view(name).substr(name.rfind('.') + 1);
    const auto module = find_module(last);
    if (!module)
      fail(Exit::configuration, file,
           "target_modules names '{:.100}', which is not adapted here; the nearest that is: {}", name,
           nearest_module(last));
    const auto place = place_of(name);
    const bool found = place ? place->layer < lora.modules.size() && lora.modules[place->layer].contains(place->module)
                             : all.contains(*module);
    if (!found) fail(Exit::input, file, "target_modules names {:.100}, which has no tensors", name);
  }
}

// Layers that are listed have tensors, and no others: PEFT would leave these out, and begin anew in those.
void check_layers(const JsonObject& object, const Lora& lora, const std::string& file) {
  const Json* value = object.find("layers_to_transform");
  if (value == nullptr || value->is_null() || value->empty()) return;
  const Json list = value->is_array() ? *value : Json::array({*value});
  std::vector<bool> listed(lora.modules.size());
  for (const Json& layer : list) {
    if (!layer.is_number_unsigned())
      fail(Exit::input, file, "layers_to_transform has {}, expected numbers of layers", layer.dump().substr(0, 100));
    const uint64_t n = layer.get<uint64_t>();
    if (n >= listed.size() || lora.modules[n].empty())
      fail(Exit::input, file, "layers_to_transform names layer {}, which has no tensors", n);
    listed[n] = true;
  }
  for (uint32_t layer = 0; layer < listed.size(); ++layer)
    if (!listed[layer] && !lora.modules[layer].empty())
      fail(Exit::input, file, "layers_to_transform leaves layer {} out, which has tensors", layer);
}

// The modules, by layer, that have tensors.
std::vector<EnumSet<LoraModule>> modules_in(const TensorFile& tensors, const ModelConfig& config) {
  std::vector<EnumSet<LoraModule>> modules(config.layers);
  for (const auto& [name, info] : tensors.tensors()) {
    const std::string_view text = name;
    const bool a = text.ends_with(".lora_A.weight"), b = text.ends_with(".lora_B.weight");
    const std::string path(text.substr(0, text.rfind(".lora_")));
    const auto place = a || b ? place_of(path) : std::nullopt;
    if (!place || peft_name(place->layer, place->module) != path)
      fail(Exit::input, tensors.path(), "tensor {:.200} is not an adapter of a linear of a layer", name);
    if (place->layer >= config.layers)
      fail(Exit::input, tensors.path(), "tensor {:.200} adapts layer {}, the model has {}", name, place->layer,
           config.layers);
    const std::string other = path + (a ? ".lora_B.weight" : ".lora_A.weight");
    if (!tensors.contains(other))
      fail(Exit::input, tensors.path(), "tensor {:.200} has no {:.200} beside it", name, other);
    modules[place->layer].insert(place->module);
  }
  if (tensors.tensors().empty()) fail(Exit::input, tensors.path(), "holds no tensor");
  return modules;
}

void check_tensors(const TensorFile& tensors, std::span<const ParameterSpec> specs) {
  for (const ParameterSpec& spec : specs)
    for (const StoredTensor& part : spec.parts) {
      if (const Shape& shape = tensors.info(part.name).shape; shape != part.shape)
        fail(Exit::input, tensors.path(), "tensor {} has shape {}, the model and the rank make it {}", part.name, shape,
             part.shape);
      tensors.read(part.name, DType::f32, {});  // a dtype that is not read
    }
}

// What says which linears are adapted.
struct Targets {
  std::vector<std::string> names;  // sorted
  Json layers;                     // those that the names hold for; null: all
};

// Short names where every layer with adapters has the same ones, else whole paths.
Targets targets_of(const Lora& lora, const ModelConfig& config) {
  std::map<uint32_t, EnumSet<LoraModule>> adapted;  // by layer in files
  for (uint32_t layer = 0; layer < config.layers; ++layer)
    if (const auto modules = lora.modules_of(layer); !modules.empty()) adapted[config.first_layer + layer] = modules;
  const bool uniform =
      std::ranges::all_of(adapted, [&](const auto& entry) { return entry.second == adapted.begin()->second; });
  Targets targets;
  std::vector<uint32_t> layers;
  for (const auto& [layer, modules] : adapted) {
    for (size_t m = 0; m < kLoraModules; ++m) {
      if (!modules.contains(LoraModule(m)) || (uniform && !layers.empty())) continue;
      targets.names.push_back(uniform ? std::string(kLoraModuleNames[m]) : module_name(layer, LoraModule(m)));
    }
    layers.push_back(layer);
  }
  std::ranges::sort(targets.names);
  if (uniform && layers.size() < whole(config).layers) targets.layers = layers;
  return targets;
}

Json number_of(double alpha) {
  const bool whole = alpha == std::floor(alpha) && alpha < 0x1p53;
  return whole ? Json(int64_t(alpha)) : Json(alpha);
}

}  // namespace

std::optional<LoraModule> find_module(std::string_view name) {
  const auto* found = std::ranges::find(kLoraModuleNames, name);
  if (found == std::end(kLoraModuleNames)) return {};
  return LoraModule(found - std::begin(kLoraModuleNames));
}

std::string_view nearest_module(std::string_view name) {
  return *std::ranges::min_element(kLoraModuleNames, {},
                                   [&](std::string_view known) { return edit_distance(name.substr(0, 100), known); });
}

AdapterDirectory open_adapter(const std::string& path, const ModelConfig& config) {
  const std::string file = path + "/" + std::string(kAdapterConfig);
  const Json json = parse_json(read_text(file), file);
  const JsonObject object(json, file, Exit::input);
  refuse_other_methods(json, object, file);
  Lora lora = read_scale(object, file);
  TensorFile tensors(path + "/" + std::string(kAdapterTensors));
  lora.modules = modules_in(tensors, config);
  check_tensors(tensors, adapter_specs(config, lora));
  check_targets(object, lora, file);
  check_layers(object, lora, file);
  warn_of_unknown(json, file);
  return {path, std::move(lora), object.number("lora_dropout").value_or(0), std::move(tensors)};
}

void load_adapter_rows(const AdapterDirectory& adapter, const ParameterSpec& spec, uint64_t first, DType dtype,
                       std::span<std::byte> out) {
  fill_rows(spec, first, dtype, out, [&](const StoredTensor& part, uint64_t element, std::span<std::byte> place) {
    adapter.tensors.read(part.name, dtype, place, element);
  });
}

std::string adapter_config_text(const Lora& lora, const ModelConfig& config, const std::string& base) {
  const Targets targets = targets_of(lora, config);
  return write_json({{"peft_type", "LORA"},
                     {"task_type", "CAUSAL_LM"},
                     {"base_model_name_or_path", base},
                     {"r", lora.rank},
                     {"lora_alpha", number_of(lora.alpha)},
                     {"lora_dropout", 0.0},
                     {"target_modules", targets.names},
                     {"use_rslora", lora.rslora},
                     {"use_dora", false},
                     {"bias", "none"},
                     {"fan_in_fan_out", false},
                     {"init_lora_weights", true},
                     {"inference_mode", true},
                     {"rank_pattern", Json::object()},
                     {"alpha_pattern", Json::object()},
                     {"modules_to_save", nullptr},
                     {"layers_to_transform", targets.layers},
                     {"layers_pattern", nullptr},
                     {"revision", nullptr}});
}

void save_adapter(const std::string& out, const std::string& config_text, DType dtype,
                  std::span<const ParameterSpec> specs, const ParameterReader& reader, bool replace) {
  write_directory(out, replace, [&](const std::string& directory) {
    write_file_synced(directory + "/" + std::string(kAdapterConfig), config_text);
    write_safetensors(directory + "/" + std::string(kAdapterTensors), output_tensors(dtype, specs, reader));
  });
}

}  // namespace tandem
