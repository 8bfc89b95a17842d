#include "core/optimizer/projected.h"

#include <algorithm>
#include <cmath>

#include "core/abi/apollo_limit.h"
#include "core/abi/apollo_norm.h"
#include "core/abi/apollo_scale.h"
#include "core/abi/apollo_update.h"
#include "core/abi/gemm.h"
#include "core/abi/random_signs.h"
#include "core/abi/take_part.h"
#include "core/ops/segments.h"
#include "core/optimizer/adamw.h"

namespace tandem {
namespace {

// How a stored matrix g is projected: R = g P^T by its columns, or by its rows where those are fewer. R has a row per
// channel: of the longer side.
struct Projection {
  explicit Projection(const StoredTensor& part)
      : tall(part.shape[0] >= part.shape[1]),
        channels(part.place[tall ? 0 : 1]),
        true_channels(part.shape[tall ? 0 : 1]),
        size(part.place[tall ? 1 : 0]),
        true_size(part.shape[tall ? 1 : 0]) {}

  bool tall;
  uint64_t channels, true_channels;  // with padding, and without
  uint64_t size, true_size;
};

// What one update changes: values now, of a parameter that may stack several matrices.
struct Updated {
  ValueId parameter, m, v, norm, master;  // norm: APOLLO's alone; master: where there is one
};

class Projected : public Optimizer {
 public:
  Projected(const OptimizerOptions& options, const Precision& precision)
      : options_(options), precision_(precision), adamw_(make_adamw(options, precision)) {}

  Group group(const ParameterSpec& spec) const override {
    if (!is_layer_matrix(spec)) return adamw_->group(spec);
    return {apollo() ? "apollo" : "galore", true, options_.weight_decay};
  }

  std::vector<State> states(const ParameterSpec& spec) const override {
    if (!is_layer_matrix(spec)) return adamw_->states(spec);
    std::vector<StoredTensor> moments, norms;  // what each stored tensor has of them
    uint64_t rows = 0;
    for (const StoredTensor& part : spec.parts) {
      const Projection p(part);
      moments.push_back({.shape = {p.true_channels, rank()}, .place = {p.channels, rank()}, .first = rows * rank()});
      norms.push_back({.shape = {1}, .place = {1}, .first = norms.size()});
      rows += p.channels;
    }
    const TensorDesc projected{DType::f32, {rows, rank()}};
    std::vector<State> states{{"m", projected, Initial::zero, ".m", "m", moments},
                              {"v", projected, Initial::zero, ".v", "v", moments}};
    if (apollo()) states.push_back({"norm", {DType::f32, {norms.size()}}, Initial::zero, ".norm", "m", norms});
    if (precision_.master) states.push_back(master_of(spec));
    return states;
  }

  ValueId prepare(Graph& graph, ValueId verdict) const override { return adamw_->prepare(graph, verdict); }

  void emit(Graph& graph, const ParameterSpec& spec, ValueId words, ValueId gradient,
            std::span<const ValueId> parameter_and_states) const override {
    if (!is_layer_matrix(spec)) return adamw_->emit(graph, spec, words, gradient, parameter_and_states);
    const Scope scope(graph, {Kind::direction, spec.layer});
    Updated now{.parameter = parameter_and_states[0], .m = parameter_and_states[1], .v = parameter_and_states[2]};
    if (apollo()) now.norm = parameter_and_states[3];
    if (precision_.master) now.master = parameter_and_states.back();
    uint64_t first_channel = 0;
    for (uint32_t i = 0; i < spec.parts.size(); ++i) {
      const StoredTensor& part = spec.parts[i];
      Matrix{graph, *this, spec, part, Projection(part), i, words}.update(gradient, uint32_t(first_channel), now);
      first_channel += Projection(part).channels;
    }
  }

 private:
  // Nodes for one stored matrix.
  struct Matrix {
    Graph& graph;
    const Projected& of;
    const ParameterSpec& spec;
    const StoredTensor& part;
    Projection projection;
    uint32_t index;  // among the parameter's
    ValueId words;

    template <typename P>
    ValueIds add(OpId op, const P& parameters, ValueIds inputs) const {
      return graph.add(Range::update, op, Parameters(parameters), std::move(inputs), spec.name);
    }
    ValueId product(uint32_t form, ValueId a, ValueId b) const {
      return add(OpId::gemm, abi::Gemm{.form = form}, {a, b, {}, {}, {}})[0];
    }
    uint32_t wide() const { return of.precision_.compute() == DType::f32 ? 1 : 0; }
    uint32_t first() const { return ops::block_at(spec.name, part.first); }

    void update(ValueId gradient, uint32_t first_channel, Updated& now) const {
      const abi::TakePart taken{
          .first = first(), .rows = uint32_t(part.place[0]), .columns = uint32_t(part.place[1]), .wide = wide()};
      const ValueId g = add(OpId::take_part, taken, {gradient})[0], signs = make_signs();
      const ValueId made = add_moments(project(g, signs), first_channel, now);
      if (!of.apollo()) return move(project_back(made, signs), {}, {}, now);
      const bool by_channel = of.options_.scaling == ApolloScaling::channel;
      const ValueId factors = by_channel ? made : ValueId{}, sums = by_channel ? ValueId{} : made;
      const abi::ApolloNorm norm{.transposed = !projection.tall};
      const ValueId partials = add(OpId::apollo_norm, norm, {g, factors})[0];
      const auto limited = add(OpId::apollo_limit, abi::ApolloLimit{.at = index}, {partials, sums, words, now.norm});
      now.norm = limited[1];
      move(g, factors, limited[0], now);
    }

    ValueId make_signs() const {
      const abi::RandomSigns p{.rank = of.rank(),
                               .size = uint32_t(projection.size),
                               .true_size = uint32_t(projection.true_size),
                               .tensor = part.number,
                               .every = of.options_.projection_every,
                               .transposed = !projection.tall,
                               .wide = wide()};
      return add(OpId::random_signs, p, {words})[0];
    }

    // (channels, rank) f32, which a product has where it accumulates
    ValueId project(ValueId g, ValueId signs) const {
      const ValueId zeros = graph.zeros(Range::update, {DType::f32, {projection.channels, of.rank()}}, spec.name);
      const abi::Gemm p{.form = projection.tall ? abi::kGemmNt : abi::kGemmTn, .accumulate = 1};
      return add(OpId::gemm, p, {g, signs, {}, {}, {}, zeros})[0];
    }
    ValueId project_back(ValueId direction, ValueId signs) const {
      return projection.tall ? product(abi::kGemmNn, direction, signs) : product(abi::kGemmNt, signs, direction);
    }

    // By the kind: each channel's factor, sums for the matrix's, or the direction in the projection.
    ValueId add_moments(ValueId r, uint32_t first_channel, Updated& now) const {
      const OptimizerOptions& o = of.options_;
      const uint32_t scaling = o.scaling == ApolloScaling::channel ? abi::kApolloChannel : abi::kApolloTensor;
      const abi::ApolloScale p{.first_row = first_channel,
                               .form = of.apollo() ? scaling : abi::kApolloDirection,
                               .wide = wide(),
                               .by = float(1 / std::sqrt(double(of.rank()))),
                               .beta1 = float(o.beta1),
                               .beta2 = float(o.beta2),
                               .one_minus_beta1 = float(1 - o.beta1),
                               .one_minus_beta2 = float(1 - o.beta2),
                               .epsilon = float(o.epsilon)};
      const ValueIds out = add(OpId::apollo_scale, p, {r, words, now.m, now.v});
      now.m = out[1];
      now.v = out[2];
      return out[0];
    }

    void move(ValueId x, ValueId factors, ValueId factor, Updated& now) const {
      const double scale = of.options_.projection_scale;
      const abi::ApolloUpdate p{.first = first(),
                                .tensor = part.number,
                                .transposed = !projection.tall,
                                .decay = float(of.options_.weight_decay),
                                .scale = float(of.apollo() ? std::sqrt(scale) : scale / std::sqrt(double(of.rank())))};
      ValueIds inputs{x, factors, factor, words, now.parameter};
      if (now.master.present()) inputs.push_back(now.master);
      const ValueIds out = add(OpId::apollo_update, p, std::move(inputs));
      now.parameter = out[0];
      if (now.master.present()) now.master = out[1];
    }
  };

  bool apollo() const { return options_.kind == OptimizerKind::apollo; }
  uint32_t rank() const { return options_.projection_rank; }

  OptimizerOptions options_;
  Precision precision_;
  std::unique_ptr<Optimizer> adamw_;
};

}  // namespace

std::unique_ptr<Optimizer> make_projected(const OptimizerOptions& options, const Precision& precision) {
  return std::make_unique<Projected>(options, precision);
}

}  // namespace tandem
