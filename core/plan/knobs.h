// What the planner may choose, as data: a policy has a value per knob. The estimator and the search know none by name.
#pragma once

#include <functional>

#include "core/plan/planner.h"

namespace tandem {

// Parts of attention's gradient at most, and of the LM head in models that estimates start from. Fewer: what a part of
// a long batch takes tells in the plan. More: hints for a small model on a large card take minutes, as each is
// compiled.
constexpr uint32_t kMostParts = 64;

using Choice = std::vector<uint32_t>;  // a value per knob

struct Knob {
  // Where a value acts: outside of layers; in each of them; in as many as it says, evenly spread, one more than all
  // meaning what is outside of them too; in as many of the first ones as it says.
  enum class Acts : uint8_t { outside, everywhere, spread, first };
  // A knob whose effects do not add to this one's, so that both are sampled together. Of its values, mask's bits tell.
  struct With {
    size_t knob;
    uint32_t mask = ~0u;
  };

  std::string name;              // "offload gradients"
  std::vector<uint32_t> values;  // those that are estimated, of counts ascending; the first: nothing is done
  Acts acts = Acts::everywhere;
  std::function<void(MemoryPolicy&, uint32_t value, uint32_t layers)> apply;
  std::vector<With> with{};
  bool in_steps = false;  // a move goes to the next larger or smaller value, not to any
  bool by_batch = false;  // its effects change with the micro_batch; those of a spread count in proportion
  std::vector<uint32_t> ranked = values;  // in models so small that every policy is ranked
  std::vector<uint32_t> tried{};          // ascending; on whole plans, one above the value that the best one has

  uint32_t most() const;  // its largest value
  bool counts() const { return acts == Acts::spread || acts == Acts::first; }
  // True if a count acts in the layer.
  bool acts_in(uint32_t layer, uint32_t value, uint32_t layers) const;
};

std::vector<Knob> knobs_of(const PlanRequest& request);
// What a search starts from: nothing is done, but each recompute set in all layers.
std::vector<Choice> starts_of(const std::vector<Knob>& knobs);
MemoryPolicy policy_of(const std::vector<Knob>& knobs, const Choice& choice, uint32_t layers);

// The ways to release gradients that the step and the limits leave. twice, which costs a second forward and backward
// pass, is the last one: for steps that fit in no other way.
std::vector<Release> releases(const PlanRequest& request);
// The request with one of them fixed.
PlanRequest with_release(PlanRequest request, Release release);
Release release_of(const PlanRequest& request);  // none where it is not fixed

// The recompute sets that the limits leave, without two that do the same.
std::vector<EnumSet<Recompute>> recompute_sets(const PolicyLimits& limits, bool coarse = false);
std::vector<uint32_t> head_chunk_counts(const PlanRequest& request);

}  // namespace tandem
