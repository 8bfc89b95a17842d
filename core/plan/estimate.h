// What a policy takes, estimated from compiled models of a few layers: see planner.h.
#pragma once

#include <array>
#include <map>
#include <unordered_map>

#include "core/plan/knobs.h"

namespace tandem {

// What a plan is judged by, as sums over layers go: bytes, and the seconds for which each range keeps the device and
// the copies to and from the host busy.
struct Usage {
  struct Busy {
    double compute = 0, in = 0, out = 0;  // in: host to device
    double latency = 0;                   // what the range takes beyond the longest of them

    void add(const Busy& other, double times) {
      compute += times * other.compute;
      in += times * other.in;
      out += times * other.out;
      latency += times * other.latency;
    }
  };
  // Parts of the device's bytes that sums hold for. Of outside and inside the larger one counts, and of staging the
  // largest: each is a peak.
  double fixed = 0;                // what persists, what is beside the arenas, and gaps
  double outside = 0, inside = 0;  // transients at most: outside of layers (the LM head), in a layer
  static constexpr size_t kBackward = kRangeCount;
  std::array<double, kRangeCount + 1> staging{};  // by range; micro_step's backward pass is the last
  double host = 0;
  std::array<Busy, 3> ranges;  // begin, micro_step (the mean of a step's), update

  double device() const;
  Usage& add(const Usage& other, double times);
  double seconds(uint32_t accumulation) const;  // a step's
  double copies(uint32_t accumulation) const;   // seconds of a step's, each way
};

// The Target with room for any plan.
Target without_budget(Target target);

// What a compiled plan takes, its ranges taken apart.
Usage usage_of(const Compiled& compiled, const Target& target);

class Estimator {
 public:
  explicit Estimator(const PlanRequest& request);
  // For the same model with another micro_batch: what does not depend on it is taken from other.
  Estimator(const PlanRequest& request, const Estimator& other);

  // The sum of what the knobs' values change, each beside the values of those with it.
  Usage estimate(const Choice& choice) const;
  const std::vector<Knob>& knobs() const { return knobs_; }
  Choice base() const;  // each knob's first value
  Release release() const { return release_of(request_); }

 private:
  struct Line {  // through models of few layers and of one more
    Usage fixed, layer;
  };
  // What one value changes; first: bytes inside of the last one of the first layers.
  struct Effect {
    Usage usage;
    double first = 0;
  };
  struct Model {  // a small one
    MemoryPolicy policy;
    uint32_t layers = 0;
    bool operator==(const Model&) const = default;
  };
  using Part = std::pair<size_t, Choice>;  // a knob, and the values that tell in a layer

  void sample_all();
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
  const Effect& effect_of(size_t knob, const Choice& choice) const;
  Effect effect_anew(size_t knob, const Choice& choice) const;

  const PlanRequest request_;
  const uint32_t layers_;
  const std::vector<Knob> knobs_;
  std::vector<uint64_t> most_;  // by knob, one above its values
  Usage base_;
  // Filled when first asked for.
  mutable std::vector<std::pair<Model, Usage>> samples_;
  mutable std::map<Part, Line> changes_;
  mutable std::map<Part, Usage> outside_;
  struct Effects {  // by the knob's value and those with it; the last one is asked for most often
    std::unordered_map<uint64_t, Effect> known;
    uint64_t key = 0;
    const Effect* last = nullptr;
  };
  mutable std::vector<Effects> effects_;  // by knob
};

}  // namespace tandem
