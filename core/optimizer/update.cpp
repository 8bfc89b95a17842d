#include "core/optimizer/update.h"

#include <algorithm>

#include "core/abi/square_sum.h"
#include "core/abi/step_scalars.h"
#include "core/abi/step_verdict.h"

namespace tandem {
namespace {

// What the verdict adds up: partial sums of squares, and the loss, of each rank; those of vectors, which are whole on
// each of several ranks.
struct Sums {
  ValueId squares, loss, vectors;
};

Sums emit_sums(Graph& graph, const Gradients& g) {
  std::vector<ValueId> squares, vectors;
  for (size_t i = 0; i < g.gradients.size(); ++i) {
    const bool whole = graph.ranks() > 1 && g.specs[i].shape.rank() == 1;
    (whole ? vectors : squares)
        .push_back(graph.add(Range::update, OpId::square_sum, Parameters(abi::SquareSum{}), {g.gradients[i]},
                             g.specs[i].name)[0]);
  }
  const ValueId own = graph.concat(Range::update, squares);
  if (graph.ranks() == 1) return {own, g.loss, {}};
  const std::vector<ValueId> all = graph.all_gather(Range::update, {own, g.loss}, "norm and loss");
  return {all[0], all[1], vectors.empty() ? ValueId{} : graph.concat(Range::update, vectors)};
}

// (16) u32, abi Verdict
ValueId emit_verdict(Graph& graph, const Gradients& g, double grad_clip) {
  const ValueId updates = graph.variable("updates", {DType::u32, {1}}, Initial::zero);
  graph.set_tag({Kind::io});
  const ValueId report = graph.external("report", {DType::u32, {kSlots, abi::kStepScalarWords}}, Initial::zero);
  graph.set_tag({});
  const abi::StepVerdict p{.grad_clip = float(grad_clip)};
  const Sums sums = emit_sums(graph, g);
  return graph.add(Range::update, OpId::step_verdict, Parameters(p),
                   {sums.squares, sums.loss, sums.vectors, g.scalars, g.counter, g.scale_counts, updates, report},
                   "update")[0];
}

}  // namespace

void emit_update(Graph& graph, const Optimizer& optimizer, const Gradients& g, double grad_clip) {
  const ValueId words = optimizer.prepare(graph, emit_verdict(graph, g, grad_clip));
  const std::vector<std::string> state_names = state_words(optimizer, g.specs);
  for (size_t i = 0; i < g.specs.size(); ++i) {
    const ParameterSpec& spec = g.specs[i];
    if (!optimizer.group(spec).trainable) continue;
    std::vector<ValueId> parameter_and_states{g.parameters[i]};
    for (const State& state : optimizer.states(spec)) {
      const auto number = uint32_t(std::ranges::find(state_names, state.word) - state_names.begin());
      graph.set_tag({.kind = Kind::state, .layer = spec.layer, .state = number});
      parameter_and_states.push_back(graph.variable(spec.name + state.suffix, state.desc, state.initial));
    }
    graph.set_tag({Kind::other, spec.layer});
    optimizer.emit(graph, spec, words, g.gradients[i], parameter_and_states);
  }
  graph.set_tag({});
}

}  // namespace tandem
