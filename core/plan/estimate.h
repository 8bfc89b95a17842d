// What a policy takes, estimated from compiled models of a few layers: see planner.h.
#pragma once

#include <array>
#include <map>

#include "core/plan/planner.h"

namespace tandem {

constexpr size_t kOffloadCount = std::size(kOffloadNames);

// What a plan is judged by, as sums over layers go: bytes, and the seconds for which each range keeps the device and
// the copies to and from the host busy.
struct Takes {
  struct Busy {
    double compute = 0, in = 0, out = 0;  // in: host to device
    double latency = 0;                   // what the range takes beyond the longest of them
  };
  // Parts of the device's bytes that sums hold for. Of outside and inside the larger one counts, and of staging the
  // largest: each is a peak.
  double fixed = 0;                 // what persists, what is beside the arenas, and gaps
  double outside = 0, inside = 0;   // transients at most: outside of layers (the LM head), in a layer
  std::array<double, 3> staging{};  // by range
  double host = 0;
  std::array<Busy, 3> ranges;  // begin, micro_step, update

  double device() const;
  Takes& add(const Takes& other, double times);
  double seconds(uint32_t accumulation) const;  // of a step
};

// A policy as the search writes it: what the first layers do, what the rest do, how many layers offload what.
struct Choice {
  EnumSet<Recompute> first, rest;
  uint32_t first_layers = 0;  // that recompute `first`
  std::array<uint32_t, kOffloadCount>
      offloaded{};  // layers, by Offload; one more than all: what is outside of them too
  uint32_t head_chunks = 1, attention_chunks = 1;
  uint32_t remade = 0;  // layers whose fp8 copies are remade rather than kept

  bool operator<(const Choice& other) const;
  bool operator==(const Choice&) const = default;
};
MemoryPolicy policy_of(const Choice& choice, uint32_t layers);
// The same in a model of few layers, for what a choice does in all of them or in none; some layers become all.
Choice of_layers(const Choice& choice, uint32_t layers, uint32_t few);

// The sets that the limits leave, without two that do the same.
std::vector<EnumSet<Recompute>> recompute_sets(const PolicyLimits& limits, bool coarse = false);
std::vector<Offload> offload_kinds(const PolicyLimits& limits, const Precision& precision);
std::vector<uint32_t> head_chunk_counts(const PlanRequest& request);
std::vector<uint32_t> attention_chunk_counts(const PlanRequest& request);

// the Target with room for any plan
Target without_budget(Target target);

// What a compiled plan takes, its ranges taken apart.
Takes takes_of(const Compiled& compiled, const Target& target);

class Estimator {
 public:
  // request must outlive it
  explicit Estimator(const PlanRequest& request);
  // of the same model with another micro_batch: what does not depend on it is taken from other
  Estimator(const PlanRequest& request, const Estimator& other);

  Takes estimate(const Choice& choice) const;

 private:
  struct Line {
    Takes fixed, layer;
  };
  void sample_activations();
  Takes sample(const Choice& choice, uint32_t layers) const;
  Line line(const Choice& choice, uint32_t fewer) const;  // of a choice that does the same in every layer
  static Line beside(const Line& with, const Line& without);
  static Takes at(const Line& line, uint32_t layers);
  void sample_offload(Offload kind);
  void sample_remade();
  void add_parameters(const Choice& choice, Takes& takes) const;
  void add_residuals(const Choice& choice, Takes& takes) const;

  const PlanRequest& request_;
  uint32_t layers_;
  Choice base_;                                 // the first recompute set, nothing offloaded
  Line whole_;                                  // base_'s, of models in which prefetches run ahead as in a whole one
  std::map<uint32_t, Line> recompute_;          // by set
  std::map<uint32_t, Takes> head_, attention_;  // by count, beside base_'s
  std::array<Line, kOffloadCount> offload_;     // beside base_'s
  std::array<Takes, kOffloadCount> outside_;    // what offloading it outside of the layers adds
  Line block_residuals_;                        // residuals where whole blocks are recomputed, beside the same blocks'
  Line remade_, remade_parameters_;  // copies remade, beside base_'s; then parameters offloaded too, beside remade ones
};

}  // namespace tandem
