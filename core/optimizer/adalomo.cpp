#include "core/optimizer/adalomo.h"

#include "core/abi/adalomo_moments.h"
#include "core/abi/adalomo_norm.h"
#include "core/abi/adalomo_rate.h"
#include "core/abi/adalomo_squares.h"
#include "core/abi/adalomo_update.h"
#include "core/ops/segments.h"

namespace tandem {
namespace {

bool is_vector(const ParameterSpec& spec) {
  return spec.shape.rank() == 1;
}

// A stored tensor as the ops see it: a vector is one row.
struct Matrix {
  explicit Matrix(const StoredTensor& part)
      : rows(uint32_t(part.place.rows())),
        columns(uint32_t(part.place.back())),
        true_rows(uint32_t(part.shape.rows())),
        true_columns(uint32_t(part.shape.back())) {}

  uint32_t rows, columns;            // with padding
  uint32_t true_rows, true_columns;  // without
};

// The parameter and its states now, of several stored tensors, and where the next one's moments begin.
struct Updated {
  ValueId parameter, column, row, master;  // not present: of a vector row, without a master that
  uint32_t first_column = 0, first_row = 0;
};

// Nodes for one stored tensor.
struct Emitter {
  Graph& graph;
  const ParameterSpec& spec;
  const StoredTensor& part;
  Matrix matrix;
  uint32_t update_row;  // the tensor's words in update
  ValueId update, gradient;
  float weight_decay;

  template <typename P>
  ValueIds add(OpId op, const P& parameters, ValueIds inputs) const {
    return graph.add(Range::update, op, Parameters(parameters), std::move(inputs), spec.name);
  }
  uint32_t first() const { return ops::block_at(spec.name, part.first); }

  // column_factors, row_factors and row_totals
  ValueIds add_moments(Updated& now) const {
    const abi::AdalomoSquares squares{.first = first(),
                                      .rows = matrix.rows,
                                      .columns = matrix.columns,
                                      .update_row = update_row,
                                      .by_row = now.row.present()};
    const ValueIds sums = add(OpId::adalomo_squares, squares, {gradient, update});
    const abi::AdalomoMoments p{.true_rows = matrix.true_rows,
                                .true_columns = matrix.true_columns,
                                .first_row = now.first_row,
                                .first_column = now.first_column,
                                .update_row = update_row};
    ValueIds inputs{sums[0], update, sums[1], now.column};
    if (now.row.present()) inputs.push_back(now.row);
    ValueIds made = add(OpId::adalomo_moments, p, std::move(inputs));
    now.column = made[3];
    now.row = made[4];
    now.first_column += matrix.columns;
    now.first_row += matrix.rows;
    made.resize(3);
    return made;
  }

  ValueId rates_of(const ValueIds& factors, const Updated& now) const {
    const ValueId weight = now.master.present() ? now.master : now.parameter;
    const abi::AdalomoNorm norm{.first = first(), .true_rows = matrix.true_rows, .update_row = update_row};
    const ValueId partials =
        add(OpId::adalomo_norm, norm, {gradient, update, weight, factors[0], factors[1], factors[2]})[0];
    const abi::AdalomoRate rate{
        .count = matrix.true_rows * matrix.true_columns, .true_rows = matrix.true_rows, .update_row = update_row};
    return add(OpId::adalomo_rate, rate, {partials, update, factors[2]})[0];
  }

  void move(Updated& now) const {
    const ValueIds factors = add_moments(now);
    const ValueId rates = rates_of(factors, now);
    const abi::AdalomoUpdate p{
        .first = first(), .tensor = part.number, .update_row = update_row, .decay = weight_decay};
    ValueIds inputs{gradient, update, factors[0], factors[1], rates, now.parameter};
    if (now.master.present()) inputs.push_back(now.master);
    const ValueIds made = add(OpId::adalomo_update, p, std::move(inputs));
    now.parameter = made[0];
    now.master = made[1];
  }
};

class Adalomo : public Optimizer {
 public:
  Adalomo(const OptimizerOptions& options, const Precision& precision) : options_(options), precision_(precision) {}

  Group group(const ParameterSpec& spec) const override { return group_by_shape(spec, options_.weight_decay); }

  std::vector<State> states(const ParameterSpec& spec) const override {
    if (spec.frozen) return {};
    std::vector<State> states;
    if (is_vector(spec)) {
      states.push_back({"v", {DType::f32, spec.shape}, Initial::zero, ".v", "v"});
    } else {
      states.push_back(means_of(spec, "column", [](const Shape& shape) { return shape[1]; }));
      states.push_back(means_of(spec, "row", [](const Shape& shape) { return shape[0]; }));
    }
    if (precision_.master) states.push_back(master_of(spec));
    return states;
  }

  // The first gradient has a share of 1 in its averages.
  ValueId prepare(Graph& graph, ValueId verdict) const override { return uncorrected_words(graph, verdict); }

  void emit(Graph& graph, const ParameterSpec& spec, ValueId words, ValueId gradient,
            std::span<const ValueId> parameter_and_states) const override {
    const Scope scope(graph, {Kind::direction, spec.layer});
    Updated now{.parameter = parameter_and_states[0], .column = parameter_and_states[1]};
    if (!is_vector(spec)) now.row = parameter_and_states[2];
    if (precision_.master) now.master = parameter_and_states.back();
    const bool by_tensor = graph.desc(words).shape.rank() == 2;
    for (uint32_t i = 0; i < spec.parts.size(); ++i)
      Emitter{.graph = graph,
              .spec = spec,
              .part = spec.parts[i],
              .matrix = Matrix(spec.parts[i]),
              .update_row = by_tensor ? i : 0,
              .update = words,
              .gradient = gradient,
              .weight_decay = float(group(spec).weight_decay)}
          .move(now);
  }

 private:
  // The means of a matrix's stored tensors over one axis, side by side; length: how many a tensor has.
  static State means_of(const ParameterSpec& spec, const std::string& name, uint64_t (*length)(const Shape&)) {
    std::vector<StoredTensor> parts;
    uint64_t count = 0;
    for (const StoredTensor& part : spec.parts) {
      parts.push_back({.shape = {length(part.shape)}, .place = {length(part.place)}, .first = count});
      count += length(part.place);
    }
    return {name, {DType::f32, {count}}, Initial::zero, "." + name, "v", parts};
  }

  OptimizerOptions options_;
  Precision precision_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adalomo(const OptimizerOptions& options, const Precision& precision) {
  return std::make_unique<Adalomo>(options, precision);
}

}  // namespace tandem
