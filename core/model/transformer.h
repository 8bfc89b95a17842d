// The decoder of Qwen2, Llama and Qwen3 as graph nodes: parameters, blocks, LM head. One builder serves training,
// evaluation and generation; what differs is the range, and whether transposed fp8 copies are made for a backward pass.
#pragma once

#include <unordered_map>

#include "core/graph/backward.h"
#include "core/model/config.h"
#include "core/model/precision.h"
#include "core/model/weights.h"

namespace tandem {

// An input of a linear: its e4m3 copies if the recipe has them, else x.
struct LinearInput {
  ValueId x;
  Quantized quantized;
};

class Transformer {
 public:
  // declares the parameters as variables, named as in specs
  Transformer(Graph& graph, const ModelConfig& config, Precision precision, std::vector<ParameterSpec> specs);

  // fp8: quantizes every block weight, once per step, for the ranges that follow; with transposes for training
  void quantize_weights(Range range, bool training);

  // tokens, positions (rows) i32, rope (table rows, head_dim/2, 2) f32 -> hidden states after the final norm, (rows,
  // hidden). quantizer: of that range, for fp8, with amax_slots_forward() slots
  ValueId hidden_states(Range range, ValueId tokens, ValueId positions, ValueId rope, uint32_t sequence_length,
                        bool training, Quantizer& quantizer);
  // one token over a KV cache: caches by layer, (2, kv_heads, capacity, head_dim)
  ValueId hidden_state_cached(Range range, ValueId token, ValueId position, ValueId rope,
                              std::span<const ValueId> caches);

  ValueId parameter(const std::string& name) const;
  ValueId head() const;  // the LM head's weight: the embedding when tied
  const std::vector<ParameterSpec>& specs() const { return specs_; }
  const ModelConfig& config() const { return config_; }
  const Precision& precision() const { return precision_; }
  // quantize_weights' copies stand for their parameters
  void declare_copies(ReverseMode& backward) const;

  uint32_t amax_slots_forward() const { return precision_.fp8() ? 4 * config_.layers : 0; }
  uint32_t amax_slots_backward() const { return precision_.fp8() ? 4 * config_.layers : 0; }

 private:
  struct Normed {
    ValueId residual, y, amax;
  };
  struct Scope {  // what every helper needs to place a node
    Range range;
    bool training = false;
    std::string label;
  };
  // attention, given qkv after RoPE
  using Attend = ValueId (Transformer::*)(const Scope&, ValueId qkv, uint32_t layer);

  void tag(Kind kind, uint32_t layer);
  ValueId optional_parameter(const std::string& name) const;
  Normed norm(const Scope& s, ValueId residual, ValueId delta, const std::string& weight);
  LinearInput linear_input(const Scope& s, ValueId x, ValueId amax = {});
  ValueId linear(const Scope& s, const LinearInput& x, const std::string& name);
  LinearInput swiglu(const Scope& s, ValueId gate_up);
  ValueId rope(const Scope& s, ValueId qkv);
  ValueId attend(const Scope& s, ValueId qkv, uint32_t layer);
  ValueId attend_cached(const Scope& s, ValueId qkv, uint32_t layer);
  ValueId head_norm(const Scope& s, ValueId qkv, uint32_t layer);
  ValueId decoder(Range range, ValueId tokens, bool training, Attend attend);

  Graph& graph_;
  ModelConfig config_;
  Precision precision_;
  std::vector<ParameterSpec> specs_;
  std::unordered_map<std::string, ValueId> parameters_;
  std::unordered_map<std::string, Quantized> quantized_;  // by parameter name
  // the pass being built
  ValueId positions_, rope_;
  uint32_t sequence_length_ = 1;
  std::span<const ValueId> caches_;
  Quantizer* quantizer_ = nullptr;
};

}  // namespace tandem
