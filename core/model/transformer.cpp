#include "core/model/transformer.h"

#include <cmath>

#include "core/abi/attention.h"
#include "core/abi/cache_append.h"
#include "core/abi/cached_attention.h"
#include "core/abi/embedding.h"
#include "core/abi/gemm.h"
#include "core/abi/head_rms_norm.h"
#include "core/abi/lora_expand.h"
#include "core/abi/rms_norm.h"
#include "core/abi/rope.h"
#include "core/abi/swiglu.h"
#include "core/abi/swiglu_quantize.h"

namespace tandem {
namespace {

std::string layer_name(uint32_t layer, std::string_view part) {
  return fmt::format("layers.{}.{}", layer, part);
}

}  // namespace

Transformer::Transformer(Graph& graph, const ModelConfig& config, Precision precision, const Lora& lora,
                         const FrozenCodes& codes)
    : graph_(graph), config_(config), precision_(precision), lora_(lora), specs_(parameter_specs(config, lora)) {
  for (const ParameterSpec& spec : specs_) {
    if (has_codes(spec, precision)) {
      declare_codes(spec, codes);
      continue;
    }
    graph_.set_tag({Kind::parameter, spec.layer});
    const ValueId parameter = graph_.variable(spec.name, {precision_.compute(), spec.shape});
    graph_.set_segments(parameter, segments_of(spec));
    parameters_[spec.name] = parameter;
  }
  graph_.set_tag({});
}

void Transformer::declare_codes(const ParameterSpec& spec, const FrozenCodes& codes) {
  tag(Kind::quantized, spec.layer);
  const bool remade = spec.layer < codes.remade.size() && codes.remade[spec.layer];
  const bool transpose = codes.transposes && !remade && has_input_gradient(lora_, spec);
  Quantized& copies = quantized_[spec.name];
  copies.q = graph_.variable(spec.name + ".q", {DType::e4m3, spec.shape});
  if (transpose) copies.qt = graph_.variable(spec.name + ".qt", {DType::e4m3, {spec.shape[1], spec.shape[0]}});
  copies.scale = graph_.variable(spec.name + ".scale", {DType::f32, {1}});
}

ValueId Transformer::parameter(const std::string& name) const {
  const auto found = parameters_.find(name);
  TANDEM_CHECK(found != parameters_.end(), "no parameter {}", name);
  return found->second;
}

ValueId Transformer::optional_parameter(const std::string& name) const {
  const auto found = parameters_.find(name);
  return found == parameters_.end() ? ValueId{} : found->second;
}

ValueId Transformer::head() const {
  return parameter(config_.tied ? "embedding.weight" : "lm_head.weight");
}

void Transformer::quantize_weights(Range range, bool training) {
  if (!precision_.fp8() || lora_.on()) return;
  Quantizer quantizer(graph_, range, 4 * config_.layers, "weight amax");
  for (uint32_t layer = 0; layer < config_.layers; ++layer)
    for (const char* part : {"qkv", "o", "gate_up", "down"}) {
      const std::string name = layer_name(layer, part) + ".weight";
      tag(Kind::quantized, layer);
      quantized_[name] = quantizer.quantize(parameter(name), {}, training, name);
    }
}

// the tag of the nodes that follow
void Transformer::tag(Kind kind, uint32_t layer) {
  graph_.set_tag({kind, layer});
}

void Transformer::declare_parameters(ReverseMode& backward) const {
  if (!lora_.on()) {
    for (const auto& [name, copy] : quantized_) backward.stands_for(copy.q, parameter(name));
    return;
  }
  for (const ParameterSpec& spec : specs_)
    if (spec.frozen && !has_codes(spec, precision_)) backward.freeze(parameter(spec.name));
  for (const auto& [name, copy] : quantized_)
    for (const ValueId v : {copy.q, copy.qt, copy.scale})
      if (v.present()) backward.freeze(v);
}

// t = x A^T of a linear that has adapters; it comes before x is quantized, so that the backward pass adds its gradient
// to that of the codes
ValueId Transformer::contract(const Scope& s, Kind product, ValueId x) {
  const ValueId a = optional_parameter(s.label + ".lora_a");
  if (!a.present()) return {};
  const Tag before = graph_.tag();
  tag(product, before.layer);
  const abi::Gemm p{.form = abi::kGemmNt};
  const ValueId t = graph_.add(s.range, OpId::gemm, Parameters(p), {x, a, {}, {}, {}}, s.label + ".lora_a")[0];
  graph_.set_tag(before);
  return t;
}

// s t B^T, with zeros in columns of no adapter
ValueId Transformer::expand(const Scope& s, ValueId t, const std::string& name) {
  const uint32_t layer = graph_.tag().layer;
  const std::string_view linear = std::string_view(name).substr(name.rfind('.') + 1);
  const abi::LoraExpand p{.rank = lora_.padded_rank(),
                          .ldc = linear_columns(config_, linear),
                          .scale = float(lora_.scale()),
                          .parts = lora_parts(config_, lora_, layer, linear)};
  return graph_.add(s.range, OpId::lora_expand, Parameters(p), {t, parameter(name + ".lora_b")}, name + ".lora_b")[0];
}

// x as a GEMM wants it; amax, if a producer has taken it already
LinearInput Transformer::linear_input(const Scope& s, Kind product, ValueId x, ValueId amax) {
  const ValueId t = contract(s, product, x);
  if (!precision_.fp8()) return {x, {}, t};
  return {x, quantizer_->quantize(x, amax, s.training && !lora_.on(), s.label), t};
}

ValueId Transformer::linear(const Scope& s, const LinearInput& x, const std::string& name) {
  const ValueId bias = optional_parameter(name + ".bias");
  abi::Gemm p{.form = abi::kGemmNt};
  std::vector<ValueId> inputs{x.x, {}, bias, {}, {}};
  if (x.t.present()) {
    p.accumulate = 1;
    inputs.push_back(expand(s, x.t, name));
  }
  if (!precision_.fp8()) {
    inputs[1] = parameter(name + ".weight");
    return graph_.add(s.range, OpId::gemm, Parameters(p), inputs, name)[0];
  }
  const Quantized &q = x.quantized, &w = quantized_.at(name + ".weight");
  inputs[0] = q.q, inputs[1] = w.q, inputs[3] = q.scale, inputs[4] = w.scale;
  p.fast_accumulation = s.training && precision_.fast_accumulation;
  const ValueId y = graph_.add(s.range, OpId::gemm, Parameters(p), inputs, name)[0];
  if (s.training) graph_.node(uint32_t(graph_.nodes().size() - 1)).saved = {q.qt, w.qt};
  return y;
}

// residual + delta, normalised
Transformer::Normed Transformer::norm(const Scope& s, ValueId residual, ValueId delta, const std::string& weight) {
  const bool amax = precision_.fp8() && weight != "norm.weight";  // the LM head reads bf16
  const abi::RmsNorm p{.epsilon = float(config_.rms_epsilon), .has_delta = delta.present(), .has_amax = amax};
  std::vector<ValueId> inputs{residual, delta, parameter(weight)};
  if (amax) inputs.push_back(quantizer_->amax_slot());
  const auto out = graph_.add(s.range, OpId::rms_norm, Parameters(p), inputs, weight);
  if (delta.present()) graph_.set_kind(out[0], Kind::residual);
  return {delta.present() ? out[0] : residual, out[1], out[3]};
}

ValueId Transformer::head_norm(const Scope& s, ValueId qkv, uint32_t layer) {
  const abi::HeadRmsNorm p{.q_heads = config_.q_heads,
                           .kv_heads = config_.kv_heads,
                           .head_dim = config_.head_dim,
                           .epsilon = float(config_.rms_epsilon)};
  const ValueId q_weight = parameter(layer_name(layer, "q_norm.weight")),
                k_weight = parameter(layer_name(layer, "k_norm.weight"));
  return graph_.add(s.range, OpId::head_rms_norm, Parameters(p), {qkv, q_weight, k_weight}, s.label)[0];
}

ValueId Transformer::rope(const Scope& s, ValueId qkv) {
  const abi::Rope p{
      .q_heads = config_.q_heads, .kv_heads = config_.kv_heads, .head_dim = config_.head_dim, .inverse = 0};
  return graph_.add(s.range, OpId::rope, Parameters(p), {positions_, rope_, qkv}, s.label)[0];
}

ValueId Transformer::attend(const Scope& s, ValueId qkv, uint32_t) {
  const abi::Attention p{.sequence_length = sequence_length_,
                         .q_heads = config_.q_heads,
                         .kv_heads = config_.kv_heads,
                         .head_dim = config_.head_dim,
                         .scale = float(1.0 / std::sqrt(double(config_.head_dim)))};
  return graph_.add(s.range, OpId::attention, Parameters(p), {qkv, positions_}, s.label)[0];
}

ValueId Transformer::attend_cached(const Scope& s, ValueId qkv, uint32_t layer) {
  const uint32_t capacity = uint32_t(graph_.desc(caches_[layer]).shape[2]);
  const abi::CacheAppend append{
      .q_heads = config_.q_heads, .kv_heads = config_.kv_heads, .head_dim = config_.head_dim, .capacity = capacity};
  const ValueId cache =
      graph_.add(s.range, OpId::cache_append, Parameters(append), {qkv, positions_, caches_[layer]}, s.label)[0];
  const abi::CachedAttention p{.q_heads = config_.q_heads,
                               .kv_heads = config_.kv_heads,
                               .head_dim = config_.head_dim,
                               .capacity = capacity,
                               .scale = float(1.0 / std::sqrt(double(config_.head_dim)))};
  return graph_.add(s.range, OpId::cached_attention, Parameters(p), {qkv, positions_, cache}, s.label)[0];
}

// the product of gate | up, as a GEMM wants it
LinearInput Transformer::swiglu(const Scope& s, ValueId gate_up) {
  const bool adapted = optional_parameter(s.label + ".lora_a").present();
  if (precision_.fp8() && quantizer_->remembers() && !adapted) {
    const GuessAndCheck p = guess_and_check(abi::SwigluQuantize{.has_q = 1, .has_qt = s.training && !lora_.on()});
    return {{}, quantizer_->quantize_result(OpId::swiglu_quantize, p, {gate_up}, s.label), {}};
  }
  std::vector<ValueId> inputs{gate_up};
  if (precision_.fp8()) inputs.push_back(quantizer_->amax_slot());
  const auto product = graph_.add(s.range, OpId::swiglu, Parameters(abi::Swiglu{}), inputs, s.label);
  return linear_input(s, Kind::branch, product[0], product[1]);
}

ValueId Transformer::decoder(Range range, ValueId tokens, bool training, Attend attend) {
  tag(Kind::residual, config_.layers > 0 ? 0 : kNoLayer);
  ValueId residual = graph_.add(range, OpId::embedding, Parameters(abi::Embedding{}),
                                {tokens, parameter("embedding.weight")}, "embedding")[0];
  ValueId delta;  // what the last block adds to the residual stream; the next norm adds it
  for (uint32_t layer = 0; layer < config_.layers; ++layer) {
    const auto named = [&](const char* part) { return layer_name(layer, part); };
    tag(Kind::attention_norm, layer);
    const Normed a = norm({range, training, named("input_norm")}, residual, delta, named("input_norm.weight"));
    const LinearInput qkv_input = linear_input({range, training, named("qkv")}, Kind::qkv, a.y, a.amax);
    tag(Kind::qkv, layer);
    const Scope attention{range, training, named("attention")};
    ValueId qkv = linear(attention, qkv_input, named("qkv"));
    if (config_.head_norms()) qkv = head_norm({range, training, named("head_norm")}, qkv, layer);
    qkv = rope({range, training, named("rope")}, qkv);
    tag(Kind::attention, layer);
    const ValueId mixed = (this->*attend)(attention, qkv, layer);
    const LinearInput o_input = linear_input({range, training, named("o")}, Kind::branch, mixed);
    tag(Kind::branch, layer);
    delta = linear(attention, o_input, named("o"));

    tag(Kind::ffn_norm, layer);
    const Normed f = norm({range, training, named("post_norm")}, a.residual, delta, named("post_norm.weight"));
    const LinearInput gate_up_input = linear_input({range, training, named("gate_up")}, Kind::ffn, f.y, f.amax);
    tag(Kind::ffn, layer);
    const Scope ffn{range, training, named("swiglu")};
    const ValueId gate_up = linear(ffn, gate_up_input, named("gate_up"));
    tag(Kind::swiglu, layer);
    const LinearInput down_input = swiglu({range, training, named("down")}, gate_up);
    tag(Kind::branch, layer);
    delta = linear(ffn, down_input, named("down"));
    residual = f.residual;
  }
  tag(Kind::final_norm, kNoLayer);
  return norm({range, training, "norm"}, residual, delta, "norm.weight").y;
}

ValueId Transformer::hidden_states(Range range, ValueId tokens, ValueId positions, ValueId rope,
                                   uint32_t sequence_length, bool training, Quantizer& quantizer) {
  positions_ = positions, rope_ = rope, sequence_length_ = sequence_length, quantizer_ = &quantizer;
  return decoder(range, tokens, training, &Transformer::attend);
}

ValueId Transformer::hidden_state_cached(Range range, ValueId token, ValueId position, ValueId rope,
                                         std::span<const ValueId> caches) {
  TANDEM_CHECK(!precision_.fp8(), "one token over a cache is never quantized: open the model in bf16");
  positions_ = position, rope_ = rope, caches_ = caches;
  return decoder(range, token, false, &Transformer::attend_cached);
}

}  // namespace tandem
