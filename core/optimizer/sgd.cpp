#include "core/optimizer/sgd.h"

#include "core/abi/sgd.h"

namespace tandem {
namespace {

class Sgd : public Optimizer {
 public:
  Sgd(const OptimizerOptions& options, const Precision& precision) : options_(options), precision_(precision) {}

  Group group(const ParameterSpec& spec) const override { return group_by_shape(spec, options_.weight_decay); }

  std::vector<State> states(const ParameterSpec& spec) const override {
    if (spec.frozen || !precision_.master) return {};
    return {master_of(spec)};
  }

  ValueId prepare(Graph& graph, ValueId verdict) const override { return uncorrected_words(graph, verdict); }

  void emit(Graph& graph, const ParameterSpec& spec, ValueId words, ValueId gradient,
            std::span<const ValueId> parameter_and_states) const override {
    const abi::Sgd p{.decay = float(group(spec).weight_decay), .segments = segments_of(spec)};
    ValueIds inputs{gradient, words};
    inputs.append(parameter_and_states);
    graph.add(Range::update, OpId::sgd, Parameters(p), inputs, spec.name);
  }

 private:
  OptimizerOptions options_;
  Precision precision_;
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(const OptimizerOptions& options, const Precision& precision) {
  return std::make_unique<Sgd>(options, precision);
}

}  // namespace tandem
