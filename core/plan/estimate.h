// What a policy takes, estimated from compiled models of a few layers: see planner.h.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <unordered_map>

#include "core/plan/choice.h"

namespace tandem {

// What a plan is judged by, as sums over layers go: bytes, and the seconds for which each range keeps the device and
// the copies to and from the host busy.
struct Takes {
  struct Busy {
    double compute = 0, in = 0, out = 0;  // in: host to device
    double latency = 0;                   // what the range takes beyond the longest of them

    void add(const Busy& other, double times);
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
  Takes& add(const Takes& other, double times);
  double seconds(uint32_t accumulation) const;  // a step's
};

// the Target with room for any plan
Target without_budget(Target target);

// What a compiled plan takes, its ranges taken apart.
Takes takes_of(const Compiled& compiled, const Target& target);

class Estimator {
 public:
  explicit Estimator(const PlanRequest& request);
  // For the same model with another micro_batch: what does not depend on it is taken from other
  Estimator(const PlanRequest& request, const Estimator& other);

  Takes estimate(const Choice& choice) const;
  Release release() const { return release_of(request_); }

 private:
  struct Line {
    Takes fixed, layer;
  };
  struct Sample {
    Choice choice;
    uint32_t layers;  // the sampled model's
  };
  void sample_activations();
  Takes sample(const Choice& choice, uint32_t layers) const;
  std::vector<Takes> sample_all(const std::vector<Sample>& samples) const;  // on all processors
  Line line(const Choice& choice, uint32_t fewer) const;  // for a choice that does the same in every layer
  static Line line(const Takes& fewer, const Takes& more, uint32_t layers);  // through models of layers, and one more
  uint32_t few(uint32_t layers) const { return std::min(layers, std::max(1u, layers_ - 1)); }
  static Line beside(const Line& with, const Line& without);
  static Takes at(const Line& line, uint32_t layers);
  // What offloading a kind adds: in every layer, and then outside of them.
  struct Moved {
    Line layers;
    Takes outside;
  };
  const Moved& moved(Offload kind, uint32_t distance, bool zero_copy = false, bool transposed = false) const;
  const Line& block_residuals(uint32_t distance) const;
  const Line& remade_parameters(uint32_t distance) const;
  void count_overlaps();
  // what one kind adds, in as many layers as the choice says
  const Takes& offloaded(const Choice& choice, Offload kind) const;
  Takes offloaded_anew(const Choice& choice, Offload kind) const;
  Takes offloaded(const Choice& choice, Offload kind, uint32_t distance) const;
  Takes offloaded_parameters(const Choice& choice, uint32_t distance) const;
  Takes offloaded_copies(const Choice& choice, uint32_t distance) const;
  Takes offloaded_residuals(const Choice& choice, uint32_t distance) const;

  const PlanRequest request_;
  uint32_t layers_;
  Choice base_;                                 // the first recompute set, nothing offloaded
  Line whole_;                                  // base_'s, of models in which prefetches run ahead as in a whole one
  std::map<uint32_t, Line> recompute_;          // by set
  std::map<uint32_t, Takes> head_, attention_;  // by count, beside base_'s
  Line remade_, transposed_;                    // copies remade, and transposed, beside base_'s
  std::vector<uint32_t> overlaps_;              // layers of n that offload and remake copies, of m that do
  // Sampled when first asked for. By kind, distance, whether with zero copy, whether transposed: beside base_'s.
  mutable std::map<std::tuple<Offload, uint32_t, bool, bool>, Moved> moved_;
  mutable std::map<uint32_t, Line> block_residuals_;       // by distance, where whole blocks are recomputed
  mutable std::map<uint32_t, Line> remade_parameters_;     // by distance, beside remade_
  mutable std::unordered_map<uint64_t, Takes> offloaded_;  // by what it depends on; the search asks often
};

}  // namespace tandem
