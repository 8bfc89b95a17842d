#include "core/step/step_graph.h"

#include "core/model/batch.h"
#include "core/model/head.h"
#include "core/optimizer/update.h"

namespace tandem {
namespace {

// What begin makes for all ranges of a step.
struct StepWords {
  ValueId scalars, loss, scale_counts;
};

class StepGraph {
 public:
  StepGraph(const StepSpec& spec, bool training)
      : optimizer_(spec.optimizer),
        shape_(spec.shape),
        frozen_(spec.lora.on()),
        model_(graph_, spec.model, spec.precision, spec.lora, {training, spec.remade_transposes}) {
    for (const ParameterSpec& parameter : model_.specs())
      if (training && !parameter.frozen) trainable_.push_back(parameter);
    graph_.set_ranks(spec.sharding.ranks);
    graph_.set_accumulation(shape_.accumulation);
    inputs_ = declare_inputs(graph_, spec.model, shape_.accumulation, shape_.rows());
    rope_ = graph_.variable("rope", {DType::f32, {shape_.sequence_length, spec.model.head_dim / 2, 2}});
  }

  void begin() {
    words_.scalars = begin_step(graph_, inputs_);
    graph_.keep(words_.scalars, "scalars");
    words_.loss = graph_.zeros(Range::begin, {DType::f32, {1}}, "loss");
    graph_.keep(words_.loss, "loss");
    if (!trainable_.empty() && model_.amax_slots_forward() > 0) {
      words_.scale_counts = graph_.zeros(Range::begin, {DType::u32, {2}}, "scale_counts");
      graph_.keep(words_.scale_counts, "scale_counts");
    }
    model_.quantize_weights(Range::begin, !trainable_.empty());
  }

  void micro_step() {
    const Batch batch = load_batch(graph_, Range::micro_step, inputs_, model_.precision().compute());
    const uint32_t slots = model_.amax_slots_forward() + model_.amax_slots_backward();
    Quantizer quantizer = quantizer_of(Range::micro_step, slots, words_.scale_counts);
    words_.scale_counts = quantizer.scale_counts();
    ReverseMode backward(graph_, Range::micro_step, &quantizer);
    for (const ParameterSpec& spec : trainable_)
      backward.add_up(model_.parameter(spec.name), model_.precision().gradient, spec.name + ".gradient");
    model_.declare_parameters(backward);
    if (frozen_) backward.freeze(rope_);

    const uint32_t first = uint32_t(graph_.nodes().size());
    const ValueId hidden = model_.hidden_states(Range::micro_step, batch.input, batch.positions, rope_,
                                                shape_.sequence_length, true, quantizer);
    const uint32_t last = uint32_t(graph_.nodes().size());
    backward.add(hidden, head(Range::micro_step, hidden, batch.targets, &backward));
    backward.run(first, last);
    for (const ParameterSpec& spec : trainable_)
      gradients_.push_back(backward.accumulator(model_.parameter(spec.name)));
  }

  void update() {
    ValueIds parameters;
    for (const ParameterSpec& spec : trainable_) parameters.push_back(model_.parameter(spec.name));
    const std::unique_ptr<Optimizer> optimizer = make_optimizer(optimizer_, model_.precision());
    emit_update(graph_, *optimizer,
                {trainable_, parameters, gradients_, words_.loss, words_.scalars, inputs_.counter, words_.scale_counts},
                {optimizer_.grad_clip, optimizer_.clip_by});
  }

  void evaluate() {
    const Batch batch = load_batch(graph_, Range::evaluate, inputs_, model_.precision().compute());
    Quantizer quantizer = quantizer_of(Range::evaluate, model_.amax_slots_forward());
    const ValueId hidden = model_.hidden_states(Range::evaluate, batch.input, batch.positions, rope_,
                                                shape_.sequence_length, false, quantizer);
    head(Range::evaluate, hidden, batch.targets, nullptr);
  }

  Graph take() { return std::move(graph_); }

 private:
  Quantizer quantizer_of(Range range, uint32_t slots, ValueId scale_counts = {}) {
    return slots > 0 ? Quantizer(graph_, range, slots, "amax", scale_counts) : Quantizer();
  }

  // returns the cotangent of hidden where there is a backward pass
  ValueId head(Range range, ValueId hidden, ValueId targets, ReverseMode* backward) {
    const HeadResult result = lm_head(graph_, range, model_, {hidden, targets, words_.scalars, words_.loss},
                                      shape_.head_chunks, float(optimizer_.z_loss), backward);
    words_.loss = result.loss;
    return result.cotangent;
  }

  Graph graph_;
  OptimizerOptions optimizer_;
  StepShape shape_;
  bool frozen_;  // the base
  Transformer model_;
  StepInputs inputs_;
  ValueId rope_;
  StepWords words_;
  std::vector<ParameterSpec> trainable_;
  ValueIds gradients_;  // by trainable parameter
};

}  // namespace

Graph build_step_graph(const StepSpec& spec) {
  StepGraph step(spec, true);
  step.begin();
  step.micro_step();
  step.update();
  step.evaluate();
  return step.take();
}

Graph build_evaluation_graph(const ModelConfig& config, const Precision& precision, const StepShape& shape,
                             const Lora& lora) {
  StepGraph step({config, precision, {}, shape, {}, lora, {}}, false);
  step.begin();
  step.evaluate();
  return step.take();
}

Graph build_stream_graph(const ModelConfig& below, const Precision& precision, uint32_t sequences,
                         uint32_t sequence_length, const Lora& lora) {
  Graph graph;
  Transformer model(graph, below, precision, lora);
  const TensorDesc words{DType::i32, {uint64_t{sequences} * sequence_length}};
  const ValueId tokens = graph.external("tokens", words), positions = graph.external("positions", words);
  const ValueId rope = graph.variable("rope", {DType::f32, {sequence_length, below.head_dim / 2, 2}});
  Quantizer quantizer;
  if (const uint32_t slots = model.amax_slots_forward(); slots > 0)
    quantizer = Quantizer(graph, Range::evaluate, slots, "amax");
  const StreamCodes stored = model.leaving_codes(Range::evaluate, tokens, positions, rope, sequence_length, quantizer);
  graph.keep(stored.codes, "codes");
  graph.keep(stored.scales, "scales");
  return graph;
}

Graph build_generation_graph(const ModelConfig& config, const Precision& precision, uint32_t capacity,
                             const Lora& lora) {
  Graph graph;
  Transformer model(graph, config, precision, lora);
  const ValueId token = graph.external("token", {DType::i32, {1}}),
                position = graph.external("position", {DType::i32, {1}});
  const ValueId rope = graph.variable("rope", {DType::f32, {capacity, config.head_dim / 2, 2}});
  ValueIds caches;
  for (uint32_t layer = 0; layer < config.layers; ++layer)
    caches.push_back(graph.variable(fmt::format("cache.{}", layer),
                                    {precision.compute(), {2, config.kv_heads, capacity, config.head_dim}}));
  const ValueId hidden = model.hidden_state_cached(Range::evaluate, token, position, rope, caches);
  const ValueId logits = logits_of(graph, Range::evaluate, model, hidden);
  graph.keep(logits, "logits");
  return graph;
}

}  // namespace tandem
