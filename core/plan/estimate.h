// What a policy takes, estimated from compiled models of a few layers: see planner.h.
#pragma once

#include <map>
#include <tuple>

#include "core/plan/effects.h"

namespace tandem {

class Estimator {
 public:
  explicit Estimator(const PlanRequest& request) : Estimator(request, nullptr) {}
  // For the same model: what does not depend on the micro_batch is taken from other, and all where both have the same.
  Estimator(const PlanRequest& request, const Estimator& other) : Estimator(request, &other) {}
  Estimator(const Estimator&) = delete;
  Estimator& operator=(const Estimator&) = delete;

  // The sum of what the knobs' values change, each beside the values of those with it.
  Usage estimate(const Choice& choice) const { return effects_.sum(choice); }
  const Effects& effects() const { return effects_; }
  const std::vector<Knob>& knobs() const { return knobs_; }
  Choice base() const;  // each knob's first value

  // What plans of this batch took, but for variations of the best: the next search need not compile them to find out.
  struct Known {
    Choice choice;
    Usage usage;
  };
  const std::vector<Known>& known() const { return known_; }
  void add_known(const Choice& choice, const Usage& usage) const { known_.push_back({choice, usage}); }

 private:
  struct Line {  // through models of few layers and of one more
    Usage fixed, layer;
  };
  struct Model {  // a small one
    MemoryPolicy policy;
    uint32_t layers = 0;
    bool operator==(const Model&) const = default;
  };
  using Part = std::pair<size_t, Choice>;  // a knob, and the values that tell in a layer

  Estimator(const PlanRequest& request, const Estimator* other);
  void take_over(const Estimator& other);
  Usage sample_all(const Estimator* other);  // what the base takes
  uint32_t few_layers(const Choice& choice) const;
  Model model_of(const Choice& choice, uint32_t layers) const;
  void sample(const std::vector<Model>& models) const;  // on all processors
  const Usage& usage_of(const Choice& choice, uint32_t layers) const;
  Line line_of(const Choice& choice, uint32_t layers) const;
  Choice without(Choice choice, size_t knob) const;
  uint32_t acting(size_t knob, const Choice& choice, uint32_t layer) const;
  Choice part_of(size_t knob, const Choice& choice, uint32_t bits) const;
  const Line& change_of(const Part& part) const;
  const Usage& change_outside(const Part& part) const;
  Usage effect_of(size_t knob, const Choice& choice) const;

  const PlanRequest request_;
  const uint32_t layers_;
  const std::vector<Knob> knobs_;
  // Filled when first asked for.
  mutable std::vector<std::pair<Model, Usage>> samples_;
  mutable std::map<Part, Line> changes_;
  mutable std::map<Part, Usage> outside_;
  mutable std::vector<Known> known_;  // filled by searches
  const Effects effects_;
};

// Estimators of one model and one Target, each made once: what one of them samples serves the next.
class Estimates {
 public:
  // Those of the request's micro_batch, release and coarseness. Accumulation and LM-head chunks follow from these; all
  // else must be the same in each call.
  const Estimator& of(const PlanRequest& request);

 private:
  using Key = std::tuple<Release, uint32_t, bool>;  // the micro_batch; whether coarse
  std::map<Key, std::unique_ptr<const Estimator>> all_;
  std::map<Release, Key> last_;  // the last one made
};

}  // namespace tandem
