#include "core/optimizer/muon.h"

#include <algorithm>
#include <cmath>

#include "core/abi/gemm.h"
#include "core/abi/muon_momentum.h"
#include "core/abi/muon_momentum_8bit.h"
#include "core/abi/muon_normalize.h"
#include "core/abi/muon_update.h"
#include "core/abi/square_sum.h"
#include "core/ops/segments.h"
#include "core/optimizer/adamw.h"

namespace tandem {
namespace {

// x -> a x + b x^3 + c x^5 on singular values: so steep at 0 that five steps bring most of them near 1 (Jordan).
constexpr float kA = 3.4445f, kB = -4.7750f, kC = 2.0315f;
constexpr int kSteps = 5;

// By what the learning rate is multiplied for a (rows, columns) matrix.
double scale_of(MuonScale kind, const Shape& shape) {
  const double rows = double(shape[0]), columns = double(shape[1]);
  return kind == MuonScale::original ? std::sqrt(std::max(1.0, rows / columns))
                                     : 0.2 * std::sqrt(std::max(rows, columns));
}

// Nodes for one parameter.
struct Emitter {
  Graph& graph;
  const std::string& label;

  ValueIds add(OpId op, const Parameters& parameters, ValueIds inputs) const {
    return graph.add(Range::update, op, parameters, std::move(inputs), label);
  }
  // alpha A B + beta C, or A B
  ValueId product(uint32_t form, ValueId a, ValueId b, ValueId c = {}, float alpha = 0, float beta = 0) const {
    abi::Gemm p{};
    p.form = form;
    p.alpha = alpha;
    p.beta = beta;
    return add(OpId::gemm, Parameters(p), {a, b, c, {}, {}})[0];
  }
};

// G = X X^T, H = b G + c G G, X = a X + H X; of a tall X by columns, which are fewer.
ValueId orthogonalized(const Emitter& e, ValueId x, bool tall) {
  for (int step = 0; step < kSteps; ++step) {
    const ValueId g = e.product(tall ? abi::kGemmTn : abi::kGemmNt, x, x);
    const ValueId h = e.product(abi::kGemmNn, g, g, g, kC, kB);
    x = tall ? e.product(abi::kGemmNn, x, h, x, 1, kA) : e.product(abi::kGemmNn, h, x, x, 1, kA);
  }
  return x;
}

class Muon : public Optimizer {
 public:
  Muon(const OptimizerOptions& options, const Precision& precision)
      : options_(options), precision_(precision), adamw_(make_adamw(options, precision)) {}

  Group group(const ParameterSpec& spec) const override {
    if (!is_layer_matrix(spec)) return adamw_->group(spec);
    return {"muon", true, options_.weight_decay};
  }

  std::vector<State> states(const ParameterSpec& spec) const override {
    if (!is_layer_matrix(spec)) return adamw_->states(spec);
    std::vector<State> states{{"m", {precision_.m, spec.shape}, Initial::zero, ".m", "m"}};
    if (in_8bit()) states.push_back(scales_of(spec, states[0]));
    if (precision_.master) states.push_back(master_of(spec));
    return states;
  }

  ValueId prepare(Graph& graph, ValueId verdict) const override { return adamw_->prepare(graph, verdict); }

  void emit(Graph& graph, const ParameterSpec& spec, ValueId words, ValueId gradient,
            std::span<const ValueId> parameter_and_states) const override {
    if (!is_layer_matrix(spec)) return adamw_->emit(graph, spec, words, gradient, parameter_and_states);
    const Scope scope(graph, {Kind::direction, spec.layer});
    const Emitter e{graph, spec.name};
    ValueIds momentum{parameter_and_states[1]};  // and its scales
    if (in_8bit()) momentum.push_back(parameter_and_states[2]);
    ValueIds updated{parameter_and_states[0]};  // and its master
    if (precision_.master) updated.push_back(parameter_and_states.back());
    for (const StoredTensor& part : spec.parts) {
      const ValueIds made = add_momentum(e, spec, part, words, gradient, momentum);
      momentum = ValueIds(made.begin() + 1, made.end());
      const ValueId partials = e.add(OpId::square_sum, Parameters(abi::SquareSum{}), {made[0]})[0];
      ValueId x = e.add(OpId::muon_normalize, Parameters(abi::MuonNormalize{}), {partials, made[0]})[0];
      x = orthogonalized(e, x, part.shape[0] > part.shape[1]);
      update(e, spec, part, words, x, updated);
    }
  }

 private:
  bool in_8bit() const { return precision_.m == DType::e4m3; }

  // what the part is updated by, the momentum, and its scales
  ValueIds add_momentum(const Emitter& e, const ParameterSpec& spec, const StoredTensor& part, ValueId words,
                        ValueId gradient, const ValueIds& momentum) const {
    ValueIds inputs{gradient, words};
    inputs.append(momentum);
    if (in_8bit()) {
      const abi::MuonMomentum8bit p{.first_row = uint32_t(part.first / spec.shape[1]),
                                    .tensor = part.number,
                                    .rows = uint32_t(part.place[0]),
                                    .momentum = float(options_.momentum),
                                    .one_minus_momentum = float(1 - options_.momentum),
                                    .nesterov = options_.nesterov ? 1u : 0u};
      return e.add(OpId::muon_momentum_8bit, Parameters(p), std::move(inputs));
    }
    const abi::MuonMomentum p{.first = ops::block_at(spec.name, part.first),
                              .tensor = part.number,
                              .rows = uint32_t(part.place[0]),
                              .columns = uint32_t(part.place[1]),
                              .momentum = float(options_.momentum),
                              .one_minus_momentum = float(1 - options_.momentum),
                              .nesterov = options_.nesterov ? 1u : 0u,
                              .wide = precision_.compute() == DType::f32 ? 1u : 0u};
    return e.add(OpId::muon_momentum, Parameters(p), std::move(inputs));
  }

  void update(const Emitter& e, const ParameterSpec& spec, const StoredTensor& part, ValueId words, ValueId x,
              ValueIds& updated) const {
    const abi::MuonUpdate p{.first = ops::block_at(spec.name, part.first),
                            .tensor = part.number,
                            .decay = float(options_.weight_decay),
                            .scale = float(scale_of(options_.muon_scale, part.shape))};
    ValueIds inputs{x, words};
    inputs.append(updated);
    const ValueIds out = e.add(OpId::muon_update, Parameters(p), std::move(inputs));
    std::copy_n(out.begin(), updated.size(), updated.begin());
  }

  OptimizerOptions options_;
  Precision precision_;
  std::unique_ptr<Optimizer> adamw_;
};

}  // namespace

std::unique_ptr<Optimizer> make_muon(const OptimizerOptions& options, const Precision& precision) {
  return std::make_unique<Muon>(options, precision);
}

}  // namespace tandem
