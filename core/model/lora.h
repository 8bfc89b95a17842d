// LoRA: low-rank adapters beside the linears of a frozen base (Hu et al. 2021, arXiv 2106.09685; docs/lora.md). An
// adapted linear is y = x W^T + bias + s (x A^T) B^T. A stacks the adapted parts of a stacked linear, (parts * rank,
// in), so that one product makes t = x A^T; B stacks their outputs, (columns, rank). Ranks are padded with zeros to a
// multiple of 8.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/abi/lora_parts.h"
#include "core/base/enum_set.h"
#include "core/model/precision.h"
#include "core/model/weights.h"

namespace tandem {

enum class LoraModule : uint8_t { q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj };
constexpr std::string_view kLoraModuleNames[] = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                                 "gate_proj", "up_proj", "down_proj"};
constexpr size_t kLoraModules = std::size(kLoraModuleNames);
constexpr EnumSet<LoraModule> kAllLinears = EnumSet<LoraModule>::of((1u << kLoraModules) - 1);
constexpr uint32_t kMostLoraRank = 256;

// The linears that have adapters, and how those are scaled.
struct Lora {
  uint32_t rank = 0;  // 0: none, and every parameter trains
  double alpha = 32;
  bool rslora = false;
  std::vector<EnumSet<LoraModule>> modules;  // by layer; the last entry holds for further ones
  bool rounded = false;  // the stream that enters the first layer with adapters is rounded, as a replay stores it

  bool on() const { return rank > 0; }
  uint32_t padded_rank() const { return uint32_t(round_up(rank, 8)); }
  double scale() const;  // an adapter's product is multiplied by: alpha / rank, or alpha / sqrt(rank)
  EnumSet<LoraModule> modules_of(uint32_t layer) const;
  EnumSet<LoraModule> all_modules() const;  // any layer's
  uint32_t first_layer() const;             // the lowest that has adapters, with which the backward pass ends
  bool operator==(const Lora&) const = default;
};

// The parameters of a model and, behind them, of its adapters, by layer: "layers.3.qkv.lora_a", "layers.3.qkv.lora_b".
// Those of the base are frozen where there are adapters. Tensor numbers of adapters follow the base's.
std::vector<ParameterSpec> parameter_specs(const ModelConfig& config, const Lora& lora);
// The adapters' alone.
std::vector<ParameterSpec> adapter_specs(const ModelConfig& config, const Lora& lora);

// The parts of a layer's linear ("qkv", "o", "gate_up", "down") that have adapters; count 0: none.
abi::LoraParts lora_parts(const ModelConfig& config, const Lora& lora, uint32_t layer, std::string_view linear);

uint32_t linear_columns(const ModelConfig& config, std::string_view linear);  // its product's, padded

// True for a weight of the base's linears that fp8 keeps as e4m3 codes alone.
bool has_codes(const ParameterSpec& spec, const Precision& precision);
// True for a weight of a linear that has adapters below it, so that the backward pass goes through it.
bool has_input_gradient(const Lora& lora, const ParameterSpec& weight);

// (rows, columns) of a module's weight, as files have it.
Shape module_shape(const ModelConfig& config, LoraModule module);
std::string module_name(uint32_t layer, LoraModule module);  // in a model's files: "model.layers.3.self_attn.q_proj"
// Where its tensors stand in a file of PEFT's: "base_model.model.model.layers.3.self_attn.q_proj".
std::string peft_name(uint32_t layer, LoraModule module);

// As a RowSource, an adapter's parameters drawn from seed: A uniform within 1 / sqrt(in), B zero; b_as_a: B likewise,
// for a test that is to see the gradient of A. Rounded as draw_rows rounds.
void draw_adapter_rows(const ParameterSpec& spec, uint64_t seed, bool b_as_a, uint64_t first, DType dtype,
                       std::span<std::byte> out);

}  // namespace tandem
