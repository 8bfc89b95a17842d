#include "core/model/lora.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/model/cut.h"

namespace tandem {
namespace {

// A module within its linear: its columns of y, as memory has them.
struct ModulePart {
  LoraModule module;
  uint32_t first = 0, columns = 0;
};

struct Linear {
  std::string_view name;
  uint32_t inputs = 0;  // padded
  std::vector<ModulePart> parts;
};

std::vector<Linear> linears_of(const ModelConfig& c) {
  const uint32_t q = c.q_heads * c.head_dim, kv = c.kv_heads * c.head_dim, f = c.padded_ffn();
  using M = LoraModule;
  return {{"qkv", c.hidden, {{M::q_proj, 0, q}, {M::k_proj, q, kv}, {M::v_proj, q + kv, kv}}},
          {"o", q, {{M::o_proj, 0, c.hidden}}},
          {"gate_up", c.hidden, {{M::gate_proj, 0, f}, {M::up_proj, f, f}}},
          {"down", f, {{M::down_proj, 0, c.hidden}}}};
}

std::vector<ModulePart> adapted(const Linear& linear, EnumSet<LoraModule> modules) {
  std::vector<ModulePart> parts;
  std::ranges::copy_if(linear.parts, std::back_inserter(parts),
                       [&](const ModulePart& part) { return modules.contains(part.module); });
  return parts;
}

ParameterSpec matrix(std::string name, ParameterKind kind, uint32_t layer, uint64_t columns) {
  return {.name = std::move(name), .kind = kind, .shape = {0, columns}, .parts = {}, .layer = layer};
}

void append(ParameterSpec& spec, std::string name, Shape shape, uint64_t rows) {
  const Shape place{rows, spec.shape[1]};
  spec.parts.push_back({std::move(name), shape, place, spec.shape.count()});
  spec.shape = spec.shape.with_first(spec.shape[0] + rows);
}

uint32_t stored_tensors(std::span<const ParameterSpec> specs) {
  size_t count = 0;
  for (const ParameterSpec& spec : specs) count += spec.parts.size();
  return uint32_t(count);
}

}  // namespace

double Lora::scale() const {
  return alpha / (rslora ? std::sqrt(double(rank)) : double(rank));
}

EnumSet<LoraModule> Lora::modules_of(uint32_t layer) const {
  return modules.empty() ? EnumSet<LoraModule>{} : modules[std::min<size_t>(layer, modules.size() - 1)];
}

EnumSet<LoraModule> Lora::all_modules() const {
  EnumSet<LoraModule> all;
  for (const EnumSet<LoraModule> layer : modules) all = all | layer;
  return all;
}

uint32_t Lora::first_layer() const {
  const auto adapted = [](EnumSet<LoraModule> layer) { return !layer.empty(); };
  return uint32_t(std::ranges::find_if(modules, adapted) - modules.begin());
}

Shape module_shape(const ModelConfig& c, LoraModule module) {
  const uint64_t q = uint64_t{c.q_heads} * c.head_dim, kv = uint64_t{c.kv_heads} * c.head_dim;
  switch (module) {
    case LoraModule::q_proj:
      return {q, c.hidden};
    case LoraModule::k_proj:
    case LoraModule::v_proj:
      return {kv, c.hidden};
    case LoraModule::o_proj:
      return {c.hidden, q};
    case LoraModule::gate_proj:
    case LoraModule::up_proj:
      return {c.ffn, c.hidden};
    case LoraModule::down_proj:
      return {c.hidden, c.ffn};
  }
  fail(Exit::internal, "lora", "module {} is unknown", int(module));
}

std::string module_name(uint32_t layer, LoraModule module) {
  const bool attention = module <= LoraModule::o_proj;
  return fmt::format("model.layers.{}.{}.{}", layer, attention ? "self_attn" : "mlp", kLoraModuleNames[size_t(module)]);
}

std::string peft_name(uint32_t layer, LoraModule module) {
  return "base_model.model." + module_name(layer, module);
}

std::vector<ParameterSpec> adapter_specs(const ModelConfig& config, const Lora& lora) {
  std::vector<ParameterSpec> specs;
  const std::vector<Linear> linears = linears_of(config);
  for (uint32_t layer = 0; lora.on() && layer < config.layers; ++layer)
    for (const Linear& linear : linears) {
      const std::vector<ModulePart> parts = adapted(linear, lora.modules_of(layer));
      if (parts.empty()) continue;
      const uint32_t number = config.first_layer + layer;  // in files
      const std::string name = fmt::format("layers.{}.{}", number, linear.name);
      ParameterSpec a = matrix(name + ".lora_a", ParameterKind::lora_a, layer, linear.inputs);
      ParameterSpec b = matrix(name + ".lora_b", ParameterKind::lora_b, layer, lora.padded_rank());
      for (const ModulePart& part : parts) {
        const Shape weight = module_shape(config, part.module);
        const std::string stored = peft_name(number, part.module);
        append(a, stored + ".lora_A.weight", {lora.rank, weight[1]}, lora.padded_rank());
        append(b, stored + ".lora_B.weight", {weight[0], lora.rank}, part.columns);
      }
      specs.push_back(std::move(a));
      specs.push_back(std::move(b));
    }
  number_tensors(specs, stored_tensors(parameter_specs(whole(config))));
  return specs;
}

std::vector<ParameterSpec> parameter_specs(const ModelConfig& config, const Lora& lora) {
  std::vector<ParameterSpec> specs = parameter_specs(config);
  if (!lora.on()) return specs;
  for (ParameterSpec& spec : specs) spec.frozen = true;
  std::ranges::move(adapter_specs(config, lora), std::back_inserter(specs));
  return specs;
}

uint32_t linear_columns(const ModelConfig& config, std::string_view linear) {
  const std::vector<Linear> linears = linears_of(config);
  const ModulePart& last = std::ranges::find(linears, linear, &Linear::name)->parts.back();
  return last.first + last.columns;
}

bool has_codes(const ParameterSpec& spec, const Precision& precision) {
  return precision.fp8() && spec.frozen && spec.kind == ParameterKind::matrix && spec.layer != UINT32_MAX;
}

bool has_input_gradient(const Lora& lora, const ParameterSpec& weight) {
  using M = LoraModule;
  EnumSet<M> below;  // the modules of the linears before this one in its layer
  for (uint32_t layer = 0; layer < weight.layer; ++layer)
    if (!lora.modules_of(layer).empty()) return true;
  const auto is = [&](std::string_view linear) { return weight.name.ends_with(fmt::format(".{}.weight", linear)); };
  if (!is("qkv")) below = below | EnumSet<M>{M::q_proj, M::k_proj, M::v_proj};
  if (is("gate_up") || is("down")) below.insert(M::o_proj);
  if (is("down")) below = below | EnumSet<M>{M::gate_proj, M::up_proj};
  return (lora.modules_of(weight.layer).bits() & below.bits()) != 0;
}

abi::LoraParts lora_parts(const ModelConfig& config, const Lora& lora, uint32_t layer, std::string_view linear) {
  abi::LoraParts parts{};
  if (!lora.on()) return parts;
  const std::vector<Linear> linears = linears_of(config);
  for (const ModulePart& part : adapted(*std::ranges::find(linears, linear, &Linear::name), lora.modules_of(layer))) {
    parts.first[parts.count] = part.first;
    parts.columns[parts.count++] = part.columns;
  }
  return parts;
}

}  // namespace tandem
