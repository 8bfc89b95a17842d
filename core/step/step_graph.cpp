#include "core/step/step_graph.h"

#include <algorithm>
#include <cmath>

#include "core/abi/adamw.h"
#include "core/abi/advance_micro_step.h"
#include "core/abi/begin_step.h"
#include "core/abi/cross_entropy.h"
#include "core/abi/gemm.h"
#include "core/abi/load_micro_step.h"
#include "core/abi/loss_sum.h"
#include "core/abi/prepare_update.h"
#include "core/abi/square_sum.h"
#include "core/abi/step_scalars.h"

namespace tandem {
namespace {

constexpr uint64_t kSlots = 2;       // of a step's inputs and report, by step parity
constexpr uint64_t kChunkRows = 64;  // LM-head chunks start at multiples, so that their parts are aligned

class StepGraph {
 public:
  StepGraph(const ModelConfig& config, const Precision& precision, const RunConfig::Optimizer& optimizer,
            const StepShape& shape)
      : optimizer_(optimizer), shape_(shape), model_(graph_, config, precision, parameter_specs(config)) {
    const uint64_t rows = shape.rows();
    const TensorDesc words{DType::i32, {kSlots, shape.accumulation, rows}};
    graph_.set_tag({Kind::io});
    tokens_ = graph_.external("inputs.tokens", words);
    targets_ = graph_.external("inputs.targets", words);
    positions_ = graph_.external("inputs.positions", words);
    step_inputs_ = graph_.external("inputs.scalars", {DType::u32, {kSlots, abi::kStepScalarWords}});
    graph_.set_tag({});
    counter_ = graph_.variable("counter", {DType::i32, {abi::kStepScalarWords}});
    rope_ = graph_.variable("rope", {DType::f32, {shape.sequence_length, config.head_dim / 2, 2}});
  }

  void begin(bool training) {
    const auto out =
        graph_.add(Range::begin, OpId::begin_step, Parameters(abi::BeginStep{}), {step_inputs_, counter_}, "begin");
    scalars_ = out[1];  // out[0] is the counter
    loss_ = graph_.zeros(Range::begin, {DType::f32, {1}}, "loss");
    graph_.keep(loss_, "loss");
    if (training)
      for (const ParameterSpec& spec : model_.specs()) {
        graph_.set_tag({Kind::gradient, spec.layer});
        const ValueId gradient =
            graph_.zeros(Range::begin, {model_.precision().gradient, spec.shape}, spec.name + ".gradient");
        graph_.keep(gradient, spec.name + ".gradient");
        gradients_.push_back(gradient);
      }
    graph_.set_tag({});
    model_.quantize_weights(Range::begin, training);
  }

  void micro_step() {
    const Batch batch = load(Range::micro_step);
    const uint32_t slots = model_.amax_slots_forward() + model_.amax_slots_backward();
    Quantizer quantizer = quantizer_of(Range::micro_step, slots, true);
    Backward backward(graph_, Range::micro_step, &quantizer);
    for (size_t i = 0; i < gradients_.size(); ++i)
      backward.set_accumulator(model_.parameter(model_.specs()[i].name), gradients_[i]);
    model_.declare_copies(backward);

    const uint32_t first = uint32_t(graph_.nodes().size());
    const ValueId hidden = model_.hidden_states(Range::micro_step, batch.tokens, batch.positions, rope_,
                                                shape_.sequence_length, true, quantizer);
    const uint32_t last = uint32_t(graph_.nodes().size());
    backward.add(hidden, head(Range::micro_step, hidden, batch.targets, &backward));
    backward.run(first, last);
    for (size_t i = 0; i < gradients_.size(); ++i)
      gradients_[i] = backward.accumulator(model_.parameter(model_.specs()[i].name));
  }

  void update() {
    const ValueId t = graph_.variable("t", {DType::u32, {1}});
    graph_.set_tag({Kind::io});
    const ValueId report = graph_.external("report", {DType::u32, {kSlots, abi::kStepScalarWords}});
    graph_.set_tag({});
    std::vector<ValueId> partials;
    for (size_t i = 0; i < gradients_.size(); ++i)
      partials.push_back(graph_.add(Range::update, OpId::square_sum, Parameters(abi::SquareSum{}), {gradients_[i]},
                                    model_.specs()[i].name)[0]);
    const abi::PrepareUpdate p{.grad_clip = float(optimizer_.grad_clip),
                               .log_beta1 = float(std::log(optimizer_.beta1)),
                               .log_beta2 = float(std::log(optimizer_.beta2))};
    const ValueId all = graph_.concat(Range::update, partials);
    const ValueId scalars = graph_.add(Range::update, OpId::prepare_update, Parameters(p),
                                       {all, loss_, scalars_, counter_, t, report}, "update")[0];
    for (size_t i = 0; i < gradients_.size(); ++i) adamw(model_.specs()[i], gradients_[i], scalars);
  }

  void evaluate() {
    const Batch batch = load(Range::evaluate);
    Quantizer quantizer = quantizer_of(Range::evaluate, model_.amax_slots_forward(), false);
    const ValueId hidden = model_.hidden_states(Range::evaluate, batch.tokens, batch.positions, rope_,
                                                shape_.sequence_length, false, quantizer);
    head(Range::evaluate, hidden, batch.targets, nullptr);
  }

  Graph take() { return std::move(graph_); }

 private:
  struct Batch {
    ValueId tokens, targets, positions;  // (B*T) i32
  };

  Batch load(Range range) {
    graph_.set_tag({Kind::io});
    graph_.add(range, OpId::advance_micro_step, Parameters(abi::AdvanceMicroStep{}), {counter_}, "batch");
    const auto one = [&](ValueId from) {
      return graph_.add(range, OpId::load_micro_step, Parameters(abi::LoadMicroStep{}), {from, counter_}, "batch")[0];
    };
    const Batch batch{one(tokens_), one(targets_), one(positions_)};
    graph_.set_tag({});
    return batch;
  }

  Quantizer quantizer_of(Range range, uint32_t slots, bool remembers) {
    return slots > 0 ? Quantizer(graph_, range, slots, "amax", remembers) : Quantizer();
  }

  // The LM head and the loss over chunks of tokens; with backward, also the head's gradients: returns that of hidden.
  ValueId head(Range range, ValueId hidden, ValueId targets, Backward* backward) {
    const uint64_t rows = shape_.rows();
    const uint64_t chunk =
        (((rows + shape_.head_chunks - 1) / shape_.head_chunks) + kChunkRows - 1) / kChunkRows * kChunkRows;
    std::vector<ValueId> losses, cotangents;
    for (uint64_t first = 0; first < rows; first += chunk) {
      const uint64_t count = std::min(chunk, rows - first);
      const ValueId x = graph_.slice(range, hidden, first, count), y = graph_.slice(range, targets, first, count);
      const abi::Gemm p{.ldc = model_.padded_vocabulary(), .form = abi::kGemmNt};
      graph_.set_tag({Kind::logits});
      const ValueId logits = graph_.add(range, OpId::gemm, Parameters(p), {x, model_.head(), {}, {}, {}}, "lm_head")[0];
      const abi::CrossEntropy ce{.vocabulary = model_.config().vocabulary,
                                 .write_gradient = backward != nullptr ? 1u : 0u,
                                 .z_loss = float(optimizer_.z_loss)};
      const auto out = graph_.add(range, OpId::cross_entropy, Parameters(ce), {y, scalars_, logits}, "loss");
      losses.push_back(out[1]);
      if (backward != nullptr) cotangents.push_back(head_gradient(*backward, x, out[0]));
    }
    loss_ =
        graph_.add(range, OpId::loss_sum, Parameters(abi::LossSum{}), {graph_.concat(range, losses), loss_}, "loss")[0];
    return backward != nullptr ? graph_.concat(range, cotangents) : ValueId{};
  }

  // logits = x W^T over the true vocabulary: dW += dlogits^T x, dx = dlogits W
  ValueId head_gradient(Backward& backward, ValueId x, ValueId dlogits) {
    graph_.set_tag({Kind::cotangent, kNoLayer, Phase::backward});
    const ValueId w = model_.head();
    const uint32_t vocabulary = model_.config().vocabulary;
    const abi::Gemm dw{.m = vocabulary, .form = abi::kGemmTn, .accumulate = 1};
    backward.update_accumulator(w, graph_.add(Range::micro_step, OpId::gemm, Parameters(dw),
                                              {dlogits, x, {}, {}, {}, backward.accumulator(w)}, "lm_head")[0]);
    const abi::Gemm dx{.k = vocabulary, .form = abi::kGemmNn};
    return graph_.add(Range::micro_step, OpId::gemm, Parameters(dx), {dlogits, w, {}, {}, {}}, "lm_head")[0];
  }

  void adamw(const ParameterSpec& spec, ValueId gradient, ValueId scalars) {
    const Precision& precision = model_.precision();
    abi::AdamW p{.beta1 = float(optimizer_.beta1),
                 .beta2 = float(optimizer_.beta2),
                 .one_minus_beta1 = float(1 - optimizer_.beta1),
                 .one_minus_beta2 = float(1 - optimizer_.beta2),
                 .epsilon = float(optimizer_.epsilon),
                 .decay = spec.shape.rank() >= 2 ? float(optimizer_.weight_decay) : 0.0f,
                 .has_master = precision.master ? 1u : 0u,
                 .segments = uint32_t(spec.parts.size())};
    for (size_t i = 0; i < spec.parts.size(); ++i) {  // random bits count in the places: see docs/numerics.md
      p.segment_begin[i] = uint32_t(spec.parts[i].first);
      p.segment_tensor[i] = spec.parts[i].number;
    }
    const auto state = [&](Kind kind, DType dtype) {
      graph_.set_tag({kind, spec.layer});
      return graph_.variable(fmt::format("{}.{}", spec.name, name_of(kind)), {dtype, spec.shape});
    };
    std::vector<ValueId> inputs{gradient, scalars, model_.parameter(spec.name), state(Kind::m, precision.m),
                                state(Kind::v, precision.v)};
    if (precision.master) inputs.push_back(state(Kind::master, DType::f32));
    graph_.set_tag({Kind::other, spec.layer});
    graph_.add(Range::update, OpId::adamw, Parameters(p), inputs, spec.name);
  }

  Graph graph_;
  RunConfig::Optimizer optimizer_;
  StepShape shape_;
  Transformer model_;
  ValueId tokens_, targets_, positions_, step_inputs_, counter_, rope_, scalars_, loss_;
  std::vector<ValueId> gradients_;  // by spec
};

}  // namespace

Graph build_step_graph(const ModelConfig& config, const Precision& precision, const RunConfig::Optimizer& optimizer,
                       const StepShape& shape) {
  StepGraph step(config, precision, optimizer, shape);
  step.begin(true);
  step.micro_step();
  step.update();
  step.evaluate();
  return step.take();
}

Graph build_evaluation_graph(const ModelConfig& config, const Precision& precision, const StepShape& shape) {
  StepGraph step(config, precision, {}, shape);
  step.begin(false);
  step.evaluate();
  return step.take();
}

Graph build_generation_graph(const ModelConfig& config, const Precision& precision, uint32_t capacity) {
  Graph graph;
  Transformer model(graph, config, precision, parameter_specs(config));
  const ValueId token = graph.external("token", {DType::i32, {1}}),
                position = graph.external("position", {DType::i32, {1}});
  const ValueId rope = graph.variable("rope", {DType::f32, {capacity, config.head_dim / 2, 2}});
  std::vector<ValueId> caches;
  for (uint32_t layer = 0; layer < config.layers; ++layer)
    caches.push_back(graph.variable(fmt::format("cache.{}", layer),
                                    {precision.compute(), {2, config.kv_heads, capacity, config.head_dim}}));
  const ValueId hidden = model.hidden_state_cached(Range::evaluate, token, position, rope, caches);
  const abi::Gemm p{.ldc = model.padded_vocabulary(), .form = abi::kGemmNt};
  graph.set_tag({Kind::logits});
  const ValueId logits =
      graph.add(Range::evaluate, OpId::gemm, Parameters(p), {hidden, model.head(), {}, {}, {}}, "lm_head")[0];
  graph.keep(logits, "logits");
  return graph;
}

uint64_t widest_row(const ModelConfig& config) {
  const uint64_t qkv = uint64_t(config.head_dim) * (config.q_heads + 2 * uint64_t(config.kv_heads));
  return std::max({uint64_t(config.hidden), qkv, 2 * uint64_t(config.padded_ffn())});
}

uint32_t choose_head_chunks(const ModelConfig& config, const Precision& precision, const StepShape& shape,
                            uint64_t logit_bytes) {
  const uint64_t row = uint64_t(config.vocabulary + 15) / 16 * 16 * size_of(precision.compute());
  const uint64_t rows = std::max<uint64_t>(kChunkRows, logit_bytes / row / kChunkRows * kChunkRows);
  return uint32_t((shape.rows() + rows - 1) / rows);
}

}  // namespace tandem
