#include "core/optimizer/adamw.h"

#include <cmath>

#include "core/abi/adamw.h"
#include "core/abi/adamw_8bit.h"
#include "core/abi/adamw_corrections.h"

namespace tandem {
namespace {

class Adamw : public Optimizer {
 public:
  Adamw(const OptimizerOptions& options, const Precision& precision) : options_(options), precision_(precision) {}

  Group group(const ParameterSpec& spec) const override { return group_by_shape(spec, options_.weight_decay); }

  std::vector<State> states(const ParameterSpec& spec) const override {
    if (spec.frozen) return {};
    std::vector<State> states;
    const auto moment = [&](const std::string& name, DType dtype) {
      states.push_back({name, {dtype, spec.shape}, Initial::zero, "." + name, name});
      if (!in_8bit(spec)) return;
      states.push_back(scales_of(spec, states.back()));
    };
    moment("m", moment_dtype(spec, precision_.m));
    moment("v", moment_dtype(spec, precision_.v));
    if (precision_.master) states.push_back(master_of(spec));
    return states;
  }

  ValueId prepare(Graph& graph, ValueId verdict) const override {
    const abi::AdamwCorrections p{.log_beta1 = float(std::log(options_.beta1)),
                                  .log_beta2 = float(std::log(options_.beta2))};
    return graph.add(Range::update, OpId::adamw_corrections, Parameters(p), {verdict}, "update")[0];
  }

  void emit(Graph& graph, const ParameterSpec& spec, ValueId words, ValueId gradient,
            std::span<const ValueId> parameter_and_states) const override {
    ValueIds inputs{gradient, words};
    inputs.append(parameter_and_states);
    if (in_8bit(spec)) {
      graph.add(Range::update, OpId::adamw_8bit, Parameters(parameters_of<abi::Adamw8bit>(spec)), inputs, spec.name);
    } else {
      graph.add(Range::update, OpId::adamw, Parameters(parameters_of<abi::AdamW>(spec)), inputs, spec.name);
    }
  }

 private:
  // P: AdamW or Adamw8bit; infer sets the sizes
  template <typename P>
  P parameters_of(const ParameterSpec& spec) const {
    return {.beta1 = float(options_.beta1),
            .beta2 = float(options_.beta2),
            .one_minus_beta1 = float(1 - options_.beta1),
            .one_minus_beta2 = float(1 - options_.beta2),
            .epsilon = float(options_.epsilon),
            .decay = float(group(spec).weight_decay),
            .has_master = precision_.master ? 1u : 0u,
            .segments = segments_of(spec)};
  }

  // Vectors are few: their moments are f32 where those of matrices are codes.
  bool in_8bit(const ParameterSpec& spec) const { return precision_.m == DType::e4m3 && spec.shape.rank() >= 2; }
  DType moment_dtype(const ParameterSpec& spec, DType of_matrices) const {
    return precision_.m == DType::e4m3 && !in_8bit(spec) ? DType::f32 : of_matrices;
  }

  OptimizerOptions options_;
  Precision precision_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adamw(const OptimizerOptions& options, const Precision& precision) {
  return std::make_unique<Adamw>(options, precision);
}

}  // namespace tandem
