// The decoder of Qwen2, Llama and Qwen3 as graph nodes: parameters, blocks, LM head. One builder serves training,
// evaluation and generation; what differs is the range, and whether transposed fp8 copies are made for a backward pass.
#pragma once

#include <unordered_map>

#include "core/graph/backward.h"
#include "core/model/config.h"
#include "core/model/lora.h"
#include "core/model/precision.h"

namespace tandem {

// An input of a linear: its e4m3 copies if the recipe has them, else x; t = x A^T where it has adapters.
struct LinearInput {
  ValueId x;
  Quantized quantized;
  ValueId t;
};

// The residual stream between two layers, in blocks with a scale each (core/abi/quantize_blocks.h): codes (rows,
// hidden) e4m3, scales (rows, state_blocks(hidden)) u8.
struct StreamCodes {
  ValueId codes, scales;
};
// The stream that they stand for, (rows, hidden) dtype; with a counter, of the micro-step that it says, where codes and
// scales are those of (2, A) micro-steps.
ValueId stream_of(Graph& graph, Range range, const StreamCodes& stored, ValueId counter, DType dtype);

// The e4m3 codes of a frozen base, which stand in place of its linears' weights.
struct FrozenCodes {
  bool transposes = false;   // for a backward pass
  std::vector<bool> remade;  // by layer: it makes them from the codes; further layers keep them
};

class Transformer {
 public:
  // declares the parameters as variables, named as in parameter_specs(config, lora); in fp8, of a linear below adapters
  // the variables of its codes instead: NAME.q, NAME.qt, NAME.scale
  Transformer(Graph& graph, const ModelConfig& config, Precision precision, const Lora& lora = {},
              const FrozenCodes& codes = {});

  // fp8: quantizes every block weight that trains, once per step, for the ranges that follow; with transposes for
  // training
  void quantize_weights(Range range, bool training);

  // input, positions (rows) i32, rope (table rows, head_dim/2, 2) f32 -> hidden states after the final norm, (rows,
  // hidden). input: tokens, or the stream (rows, hidden) where the model begins above a cut. quantizer: of that range,
  // for fp8, with amax_slots_forward() slots
  ValueId hidden_states(Range range, ValueId input, ValueId positions, ValueId rope, uint32_t sequence_length,
                        bool training, Quantizer& quantizer);
  // The same of a model below a cut: what leaves its last layer.
  StreamCodes leaving_codes(Range range, ValueId tokens, ValueId positions, ValueId rope, uint32_t sequence_length,
                            Quantizer& quantizer);
  // one token over a KV cache: caches by layer, (2, kv_heads, capacity, head_dim)
  ValueId hidden_state_cached(Range range, ValueId token, ValueId position, ValueId rope,
                              std::span<const ValueId> caches);

  ValueId parameter(const std::string& name) const;
  ValueId head() const;  // the LM head's weight: the embedding when tied
  const std::vector<ParameterSpec>& specs() const { return specs_; }
  const ModelConfig& config() const { return config_; }
  const Precision& precision() const { return precision_; }
  // quantize_weights' copies stand for their parameters; what is frozen has no gradient
  void declare_parameters(ReverseMode& backward) const;

  uint32_t amax_slots_forward() const { return precision_.fp8() ? 4 * config_.layers : 0; }
  uint32_t amax_slots_backward() const { return precision_.fp8() ? 4 * config_.layers : 0; }

 private:
  struct Normed {
    ValueId residual, y, amax;
  };
  // A forward pass: the range that it is in, and what all layers read.
  struct Pass {
    Range range;
    bool training = false;
    ValueId positions, rope;
    uint32_t sequence_length = 1;
    std::span<const ValueId> caches = {};
    Quantizer* quantizer = nullptr;
  };
  struct Site {  // where a node is put
    const Pass& pass;
    std::string label;
  };
  // The residual stream, and what the block before adds to it in the next norm.
  struct Stream {
    ValueId residual, delta;
  };
  // Attention, given qkv after RoPE: over the pass's tokens, or over caches.
  using Attend = ValueId (Transformer::*)(const Site&, ValueId qkv, uint32_t layer);

  // What make returns; the nodes that it adds carry the tag.
  template <typename Make>
  auto tagged(Tag tag, Make make) {
    const Scope scope(graph_, tag);
    return make();
  }
  std::string layer_name(uint32_t layer, std::string_view part) const;
  ValueId optional_parameter(const std::string& name) const;
  Normed norm(const Pass& pass, const Stream& stream, const std::string& weight);
  void declare_codes(const ParameterSpec& spec, const FrozenCodes& codes);
  // product: the kind of what the linear makes
  LinearInput linear_input(const Site& s, Kind product, ValueId x, ValueId amax = {});
  ValueId contract(const Site& s, Kind product, ValueId x);
  ValueId expand(const Pass& pass, ValueId t, const std::string& name);
  ValueId linear(const Pass& pass, const LinearInput& x, const std::string& name);
  LinearInput swiglu(const Site& s, ValueId gate_up);
  ValueId rope(const Site& s, ValueId qkv);
  ValueId attend(const Site& s, ValueId qkv, uint32_t layer);
  ValueId attend_cached(const Site& s, ValueId qkv, uint32_t layer);
  ValueId head_norm(const Site& s, ValueId qkv, uint32_t layer);
  Stream attention_block(const Pass& pass, uint32_t layer, const Stream& stream, Attend mix);
  Stream ffn_block(const Pass& pass, uint32_t layer, const Stream& stream);
  StreamCodes codes_of(const Pass& pass, const Stream& stream);
  Stream entering(const Pass& pass, ValueId input);
  Stream rounded(const Pass& pass, uint32_t layer, const Stream& stream);
  Stream layers(const Pass& pass, ValueId input, Attend mix);
  ValueId decoder(const Pass& pass, ValueId input, Attend mix);

  Graph& graph_;
  ModelConfig config_;
  Precision precision_;
  Lora lora_;
  std::vector<ParameterSpec> specs_;
  std::unordered_map<std::string, ValueId> parameters_;
  std::unordered_map<std::string, Quantized> quantized_;  // by parameter name
};

}  // namespace tandem
