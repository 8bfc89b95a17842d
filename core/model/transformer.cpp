#include "core/model/transformer.h"

#include <cmath>

#include "core/abi/add.h"
#include "core/abi/attention.h"
#include "core/abi/cache_append.h"
#include "core/abi/cached_attention.h"
#include "core/abi/dequantize_blocks.h"
#include "core/abi/embedding.h"
#include "core/abi/gemm.h"
#include "core/abi/head_rms_norm.h"
#include "core/abi/lora_expand.h"
#include "core/abi/quantize_blocks.h"
#include "core/abi/rms_norm.h"
#include "core/abi/rope.h"
#include "core/abi/swiglu.h"
#include "core/abi/swiglu_quantize.h"

namespace tandem {
namespace {

constexpr const char* kStreamLabel = "stream";

}  // namespace

std::string Transformer::layer_name(uint32_t layer, std::string_view part) const {
  return fmt::format("layers.{}.{}", config_.first_layer + layer, part);
}

Transformer::Transformer(Graph& graph, const ModelConfig& config, Precision precision, const Lora& lora,
                         const FrozenCodes& codes)
    : graph_(graph), config_(config), precision_(precision), lora_(lora), specs_(parameter_specs(config, lora)) {
  for (const ParameterSpec& spec : specs_) {
    if (has_codes(spec, precision)) {
      declare_codes(spec, codes);
      continue;
    }
    const Scope scope(graph_, {Kind::parameter, spec.layer});
    const ValueId parameter = graph_.variable(spec.name, {precision_.compute(), spec.shape});
    graph_.set_segments(parameter, segments_of(spec));
    parameters_[spec.name] = parameter;
  }
}

void Transformer::declare_codes(const ParameterSpec& spec, const FrozenCodes& codes) {
  const Scope scope(graph_, {Kind::quantized, spec.layer});
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
      const Scope scope(graph_, {Kind::quantized, layer});
      quantized_[name] = quantizer.quantize(parameter(name), {}, training, name);
    }
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
ValueId Transformer::contract(const Site& s, Kind product, ValueId x) {
  const ValueId a = optional_parameter(s.label + ".lora_a");
  if (!a.present()) return {};
  const Scope scope(graph_, {product, graph_.tag().layer});
  const abi::Gemm p{.form = abi::kGemmNt};
  return graph_.add(s.pass.range, OpId::gemm, Parameters(p), {x, a, {}, {}, {}}, s.label + ".lora_a")[0];
}

// s t B^T, with zeros in columns of no adapter
ValueId Transformer::expand(const Pass& pass, ValueId t, const std::string& name) {
  const uint32_t layer = graph_.tag().layer;
  const std::string_view linear = std::string_view(name).substr(name.rfind('.') + 1);
  const abi::LoraExpand p{.rank = lora_.padded_rank(),
                          .ldc = linear_columns(config_, linear),
                          .scale = float(lora_.scale()),
                          .parts = lora_parts(config_, lora_, layer, linear)};
  return graph_.add(pass.range, OpId::lora_expand, Parameters(p), {t, parameter(name + ".lora_b")},
                    name + ".lora_b")[0];
}

// x as a GEMM wants it; amax, if a producer has taken it already
LinearInput Transformer::linear_input(const Site& s, Kind product, ValueId x, ValueId amax) {
  const ValueId t = contract(s, product, x);
  if (!precision_.fp8()) return {x, {}, t};
  return {x, s.pass.quantizer->quantize(x, amax, s.pass.training && !lora_.on(), s.label), t};
}

ValueId Transformer::linear(const Pass& pass, const LinearInput& x, const std::string& name) {
  const ValueId bias = optional_parameter(name + ".bias");
  abi::Gemm p{.form = abi::kGemmNt};
  ValueIds inputs{x.x, {}, bias, {}, {}};
  if (x.t.present()) {
    p.accumulate = 1;
    inputs.push_back(expand(pass, x.t, name));
  }
  if (!precision_.fp8()) {
    inputs[1] = parameter(name + ".weight");
    return graph_.add(pass.range, OpId::gemm, Parameters(p), inputs, name)[0];
  }
  const Quantized &q = x.quantized, &w = quantized_.at(name + ".weight");
  inputs[0] = q.q, inputs[1] = w.q, inputs[3] = q.scale, inputs[4] = w.scale;
  p.fast_accumulation = pass.training && precision_.fast_accumulation;
  const ValueId y = graph_.add(pass.range, OpId::gemm, Parameters(p), inputs, name)[0];
  if (pass.training) graph_.node(uint32_t(graph_.nodes().size() - 1)).saved = {q.qt, w.qt};
  return y;
}

// residual + delta, normalised
Transformer::Normed Transformer::norm(const Pass& pass, const Stream& stream, const std::string& weight) {
  const auto [residual, delta] = stream;
  const bool amax = precision_.fp8() && weight != "norm.weight";  // the LM head reads bf16
  const abi::RmsNorm p{.epsilon = float(config_.rms_epsilon), .has_delta = delta.present(), .has_amax = amax};
  ValueIds inputs{residual, delta, parameter(weight)};
  if (amax) inputs.push_back(pass.quantizer->amax_slot());
  const auto out = graph_.add(pass.range, OpId::rms_norm, Parameters(p), inputs, weight);
  if (delta.present()) graph_.set_kind(out[0], Kind::residual);
  return {delta.present() ? out[0] : residual, out[1], out[3]};
}

ValueId Transformer::head_norm(const Site& s, ValueId qkv, uint32_t layer) {
  const abi::HeadRmsNorm p{.q_heads = config_.q_heads,
                           .kv_heads = config_.kv_heads,
                           .head_dim = config_.head_dim,
                           .epsilon = float(config_.rms_epsilon)};
  const ValueId q_weight = parameter(layer_name(layer, "q_norm.weight")),
                k_weight = parameter(layer_name(layer, "k_norm.weight"));
  return graph_.add(s.pass.range, OpId::head_rms_norm, Parameters(p), {qkv, q_weight, k_weight}, s.label)[0];
}

ValueId Transformer::rope(const Site& s, ValueId qkv) {
  const abi::Rope p{
      .q_heads = config_.q_heads, .kv_heads = config_.kv_heads, .head_dim = config_.head_dim, .inverse = 0};
  return graph_.add(s.pass.range, OpId::rope, Parameters(p), {s.pass.positions, s.pass.rope, qkv}, s.label)[0];
}

ValueId Transformer::attend(const Site& s, ValueId qkv, uint32_t) {
  const abi::Attention p{.sequence_length = s.pass.sequence_length,
                         .q_heads = config_.q_heads,
                         .kv_heads = config_.kv_heads,
                         .head_dim = config_.head_dim,
                         .scale = float(1.0 / std::sqrt(double(config_.head_dim)))};
  return graph_.add(s.pass.range, OpId::attention, Parameters(p), {qkv, s.pass.positions}, s.label)[0];
}

ValueId Transformer::attend_cached(const Site& s, ValueId qkv, uint32_t layer) {
  const Pass& pass = s.pass;
  const uint32_t capacity = uint32_t(graph_.desc(pass.caches[layer]).shape[2]);
  const abi::CacheAppend append{
      .q_heads = config_.q_heads, .kv_heads = config_.kv_heads, .head_dim = config_.head_dim, .capacity = capacity};
  const ValueId cache = graph_.add(pass.range, OpId::cache_append, Parameters(append),
                                   {qkv, pass.positions, pass.caches[layer]}, s.label)[0];
  const abi::CachedAttention p{.q_heads = config_.q_heads,
                               .kv_heads = config_.kv_heads,
                               .head_dim = config_.head_dim,
                               .capacity = capacity,
                               .scale = float(1.0 / std::sqrt(double(config_.head_dim)))};
  return graph_.add(pass.range, OpId::cached_attention, Parameters(p), {qkv, pass.positions, cache}, s.label)[0];
}

// the product of gate | up, as a GEMM wants it
LinearInput Transformer::swiglu(const Site& s, ValueId gate_up) {
  Quantizer* quantizer = s.pass.quantizer;
  const bool adapted = optional_parameter(s.label + ".lora_a").present();
  if (precision_.fp8() && quantizer->remembers() && !adapted) {
    const GuessAndCheck p = guess_and_check(abi::SwigluQuantize{.has_q = 1, .has_qt = s.pass.training && !lora_.on()});
    return {{}, quantizer->quantize_result(OpId::swiglu_quantize, p, {gate_up}, s.label), {}};
  }
  ValueIds inputs{gate_up};
  if (precision_.fp8()) inputs.push_back(quantizer->amax_slot());
  const auto product = graph_.add(s.pass.range, OpId::swiglu, Parameters(abi::Swiglu{}), inputs, s.label);
  return linear_input(s, Kind::branch, product[0], product[1]);
}

Transformer::Stream Transformer::attention_block(const Pass& pass, uint32_t layer, const Stream& stream, Attend mix) {
  const auto named = [&](const char* part) { return layer_name(layer, part); };
  const Normed n =
      tagged({Kind::attention_norm, layer}, [&] { return norm(pass, stream, named("input_norm.weight")); });
  const LinearInput x = tagged({Kind::attention_norm, layer}, [&] {
    return linear_input({pass, named("qkv")}, Kind::qkv, n.y, n.amax);
  });
  const ValueId qkv = tagged({Kind::qkv, layer}, [&] {
    ValueId made = linear(pass, x, named("qkv"));
    if (config_.head_norms()) made = head_norm({pass, named("head_norm")}, made, layer);
    return rope({pass, named("rope")}, made);
  });
  const LinearInput mixed = tagged({Kind::attention, layer}, [&] {
    const ValueId made = (this->*mix)({pass, named("attention")}, qkv, layer);
    return linear_input({pass, named("o")}, Kind::branch, made);
  });
  return {n.residual, tagged({Kind::branch, layer}, [&] { return linear(pass, mixed, named("o")); })};
}

Transformer::Stream Transformer::ffn_block(const Pass& pass, uint32_t layer, const Stream& stream) {
  const auto named = [&](const char* part) { return layer_name(layer, part); };
  const Normed n = tagged({Kind::ffn_norm, layer}, [&] { return norm(pass, stream, named("post_norm.weight")); });
  const LinearInput x = tagged({Kind::ffn_norm, layer}, [&] {
    return linear_input({pass, named("gate_up")}, Kind::ffn, n.y, n.amax);
  });
  const ValueId gate_up = tagged({Kind::ffn, layer}, [&] { return linear(pass, x, named("gate_up")); });
  const LinearInput product = tagged({Kind::swiglu, layer}, [&] { return swiglu({pass, named("down")}, gate_up); });
  return {n.residual, tagged({Kind::branch, layer}, [&] { return linear(pass, product, named("down")); })};
}

StreamCodes Transformer::codes_of(const Pass& pass, const Stream& stream) {
  ValueId x = stream.residual;
  if (stream.delta.present())
    x = graph_.add(pass.range, OpId::add, Parameters(abi::Add{}), {x, stream.delta}, kStreamLabel)[0];
  const auto out = graph_.add(pass.range, OpId::quantize_blocks, Parameters(abi::QuantizeBlocks{}), {x}, kStreamLabel);
  return {out[0], out[1]};
}

ValueId stream_of(Graph& graph, Range range, const StreamCodes& stored, ValueId counter, DType dtype) {
  const abi::DequantizeBlocks p{.to_f32 = dtype == DType::f32};
  return graph.add(range, OpId::dequantize_blocks, Parameters(p), {stored.codes, stored.scales, counter},
                   kStreamLabel)[0];
}

// What enters the first layer.
Transformer::Stream Transformer::entering(const Pass& pass, ValueId input) {
  if (config_.first_layer > 0) return {input, {}};
  const Scope scope(graph_, {Kind::residual, config_.layers > 0 ? 0 : kNoLayer});
  return {graph_.add(pass.range, OpId::embedding, Parameters(abi::Embedding{}), {input, parameter("embedding.weight")},
                     "embedding")[0],
          {}};
}

// stream as a replay stores and reads it
Transformer::Stream Transformer::rounded(const Pass& pass, uint32_t layer, const Stream& stream) {
  const StreamCodes codes = tagged({Kind::io, layer}, [&] { return codes_of(pass, stream); });
  const Scope scope(graph_, {Kind::residual, layer});
  return {stream_of(graph_, pass.range, codes, {}, precision_.compute()), {}};
}

Transformer::Stream Transformer::layers(const Pass& pass, ValueId input, Attend mix) {
  Stream stream = entering(pass, input);
  for (uint32_t layer = 0; layer < config_.layers; ++layer) {
    if (lora_.rounded && layer == lora_.first_layer()) stream = rounded(pass, layer, stream);
    stream = ffn_block(pass, layer, attention_block(pass, layer, stream, mix));
  }
  return stream;
}

ValueId Transformer::decoder(const Pass& pass, ValueId input, Attend mix) {
  const Stream stream = layers(pass, input, mix);
  const Scope scope(graph_, {Kind::final_norm});
  return norm(pass, stream, "norm.weight").y;
}

ValueId Transformer::hidden_states(Range range, ValueId input, ValueId positions, ValueId rope,
                                   uint32_t sequence_length, bool training, Quantizer& quantizer) {
  const Pass pass{range, training, positions, rope, sequence_length, {}, &quantizer};
  return decoder(pass, input, &Transformer::attend);
}

StreamCodes Transformer::leaving_codes(Range range, ValueId tokens, ValueId positions, ValueId rope,
                                       uint32_t sequence_length, Quantizer& quantizer) {
  const Pass pass{range, false, positions, rope, sequence_length, {}, &quantizer};
  const Stream stream = layers(pass, tokens, &Transformer::attend);
  const Scope scope(graph_, {Kind::io});
  return codes_of(pass, stream);
}

ValueId Transformer::hidden_state_cached(Range range, ValueId token, ValueId position, ValueId rope,
                                         std::span<const ValueId> caches) {
  TANDEM_CHECK(!precision_.fp8(), "one token over a cache is never quantized: open the model in bf16");
  return decoder({range, false, position, rope, 1, caches}, token, &Transformer::attend_cached);
}

}  // namespace tandem
