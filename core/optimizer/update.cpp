#include "core/optimizer/update.h"

#include <algorithm>

#include "core/abi/square_sum.h"
#include "core/abi/step_scalars.h"
#include "core/abi/step_verdict.h"
#include "core/abi/tensor_verdict.h"

namespace tandem {
namespace {

// What the verdict adds up: partial sums of squares, and the loss, of each rank; those of vectors, which are whole on
// each of several ranks.
struct Sums {
  ValueId squares, loss, vectors;
};

// What steps leave for the next, and for the host.
struct Kept {
  ValueId updates, report, last_norm;  // last_norm: with ClipBy::previous alone
};

Kept declare_kept(Graph& graph, ClipBy clip_by) {
  Kept kept;
  kept.updates = graph.variable("updates", {DType::u32, {1}}, Initial::zero);
  {
    const Scope scope(graph, {Kind::io});
    kept.report = graph.external("report", {DType::u32, {kSlots, abi::kStepScalarWords}}, Initial::zero);
  }
  if (clip_by == ClipBy::previous)
    kept.last_norm = graph.variable(std::string(kLastNorm), {DType::f32, {1}}, Initial::zero);
  return kept;
}

Sums emit_sums(Graph& graph, const Gradients& g) {
  ValueIds squares, vectors;
  for (size_t i = 0; i < g.gradients.size(); ++i) {
    const bool whole = graph.ranks() > 1 && g.specs[i].shape.rank() == 1;
    (whole ? vectors : squares)
        .push_back(graph.add(Range::update, OpId::square_sum, Parameters(abi::SquareSum{}), {g.gradients[i]},
                             g.specs[i].name)[0]);
  }
  const ValueId own = graph.concat(Range::update, squares);
  if (graph.ranks() == 1) return {own, g.loss, {}};
  const ValueIds all = graph.all_gather(Range::update, {own, g.loss}, "norm and loss");
  return {all[0], all[1], vectors.empty() ? ValueId{} : graph.concat(Range::update, vectors)};
}

// (16) u32, abi Verdict
ValueId emit_step_verdict(Graph& graph, const Gradients& g, const Kept& kept, const Clipping& clipping,
                          const Sums& sums) {
  const abi::StepVerdict p{.grad_clip = float(clipping.grad_clip),
                           .by_tensor = clipping.clip_by == ClipBy::step ? 0u : 1u};
  ValueIds inputs{sums.squares, sums.loss,      sums.vectors, g.scalars,
                  g.counter,    g.scale_counts, kept.updates, kept.report};
  if (kept.last_norm.present()) inputs.push_back(kept.last_norm);
  return graph.add(Range::update, OpId::step_verdict, Parameters(p), std::move(inputs), "update")[0];
}

// The verdicts of a parameter's stored tensors, (tensors, 64) u32; their sums of squares are put behind squares.
ValueId emit_tensor_verdicts(Graph& graph, const ParameterSpec& spec, ValueId gradient, const Gradients& g,
                             const Kept& kept, double grad_clip, ValueIds& squares) {
  ValueIds verdicts;
  for (const StoredTensor& part : spec.parts) {
    const abi::SquareSum sum{.first = uint32_t(part.first), .part = uint32_t(part.place.count())};
    const ValueId partials = graph.add(Range::update, OpId::square_sum, Parameters(sum), {gradient}, part.name)[0];
    const ValueIds made =
        graph.add(Range::update, OpId::tensor_verdict, Parameters(abi::TensorVerdict{.grad_clip = float(grad_clip)}),
                  {partials, g.loss, g.scalars, kept.updates, kept.last_norm}, part.name);
    verdicts.push_back(made[0]);
    squares.push_back(made[1]);
  }
  return verdicts.size() == 1 ? verdicts[0] : graph.concat(Range::update, std::move(verdicts));
}

// The parameter, and its states, which are declared.
ValueIds parameter_and_states(Graph& graph, const Optimizer& optimizer, const ParameterSpec& spec, ValueId parameter,
                              std::span<const std::string> words) {
  ValueIds values{parameter};
  for (const State& state : optimizer.states(spec)) {
    const auto number = uint32_t(std::ranges::find(words, state.word) - words.begin());
    const Scope scope(graph, {.kind = Kind::state, .layer = spec.layer, .state = number});
    values.push_back(graph.variable(spec.name + state.suffix, state.desc, state.initial));
  }
  return values;
}

}  // namespace

void emit_update(Graph& graph, const Optimizer& optimizer, const Gradients& g, const Clipping& clipping) {
  const bool by_tensor = clipping.clip_by != ClipBy::step;
  TANDEM_CHECK(!by_tensor || graph.ranks() == 1, "{} ranks clip by tensor", graph.ranks());
  const Kept kept = declare_kept(graph, clipping.clip_by);
  ValueId words;
  if (!by_tensor) words = optimizer.prepare(graph, emit_step_verdict(graph, g, kept, clipping, emit_sums(graph, g)));
  ValueIds squares;
  const std::vector<std::string> state_names = state_words(optimizer, g.specs);
  for (size_t i = 0; i < g.specs.size(); ++i) {
    const ParameterSpec& spec = g.specs[i];
    if (!optimizer.group(spec).trainable) continue;
    const ValueIds updated = parameter_and_states(graph, optimizer, spec, g.parameters[i], state_names);
    if (by_tensor) {
      const Scope verdicts(graph, {Kind::direction, spec.layer});
      words = optimizer.prepare(
          graph, emit_tensor_verdicts(graph, spec, g.gradients[i], g, kept, clipping.grad_clip, squares));
    }
    const Scope scope(graph, {Kind::other, spec.layer});
    optimizer.emit(graph, spec, words, g.gradients[i], updated);
  }
  if (by_tensor)
    emit_step_verdict(graph, g, kept, clipping, {graph.concat(Range::update, std::move(squares)), g.loss, {}});
}

}  // namespace tandem
