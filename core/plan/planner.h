// The search for the memory policy with the least predicted step time whose plan fits the device and the host.
//
// Compiling a whole model for each policy takes too long, so the search estimates first. A policy has a value per knob
// (knobs.h); models of a few layers are compiled with each value alone, or beside those that it does not add up with,
// and what a value changes per layer and once is read off them. Sums of those are searched by moves from one choice to
// the next; the best are compiled whole, which corrects the estimates of what is like them, and what is reported is
// what those plans take. Where a model is so small that every policy can be ranked, the fastest is found.
#pragma once

#include <memory>
#include <optional>

#include "core/rates/cost_model.h"
#include "core/step/compile_step.h"
#include "core/step/step_spec.h"

namespace tandem {

// What a configuration fixes; absent: the planner chooses.
struct PolicyLimits {
  std::optional<EnumSet<Recompute>> recompute;
  std::optional<EnumSet<Offload>> offload;
  std::optional<uint32_t> lm_head_chunks, attention_chunks;
  std::optional<Release> release;
};

struct PlanRequest : StepSpec {  // shape.head_chunks: the most that the planner tries
  PolicyLimits limits;
  bool coarse = false;  // with few recompute sets, for estimates that only compare batches
  Target target;        // with rates; memory_bytes and host_memory_bytes (0: no limit) are the budgets
  // A rank's sequences per step, where micro_batch and accumulation are the planner's to choose; 0: they are as set.
  uint32_t sequences = 0;
};

// Copies::remade wants whole bf16 weights, of which several ranks have their own rows alone, and a frozen base none.
inline bool may_remake(const PlanRequest& r) {
  return r.precision.fp8() && r.sharding.ranks == 1 && !r.lora.on();
}

// Copies::transposed: with zero = 3 transposes are made where they are read in any case.
inline bool may_transpose(const PlanRequest& r) {
  return r.precision.fp8() && (r.sharding.ranks == 1 || r.sharding.zero < 3);
}

// A policy whose Program was compiled in full.
struct PlannedPolicy {
  MemoryPolicy policy;
  uint64_t device_bytes = 0, host_bytes = 0;
  ProgramCost cost;  // a step's
  bool fits = false;

  double seconds() const { return cost.seconds; }
};

class Estimates;
std::shared_ptr<Estimates> no_estimates();  // empty

struct StepPlan {
  PlannedPolicy chosen;                   // the fastest that fits; where none does, one that takes little
  std::vector<PlannedPolicy> runners_up;  // others that fit, by time
  std::optional<Compiled> compiled;       // chosen's
  ProgramCost floor;                      // a step's with no policy, for its floors: nothing is computed twice
  uint32_t compiles = 0;                  // compiles of the whole model
  bool coarse = false;                    // found to be compared, never to run
  std::shared_ptr<Estimates> estimates;   // those made so far; decide and plan_step set them

  bool fits() const { return chosen.fits; }
};

// Throws for no plan that does not fit: the compiled one's shortfall says where a value is larger than the device
// allocates at once.
// estimates: as of decide().
StepPlan plan_step(const PlanRequest& request, std::shared_ptr<Estimates> estimates = no_estimates());

// A step of the request with no policy: nothing is computed twice or copied. What its instructions take at the least.
ProgramCost floor_of(const PlanRequest& request);

// What other batches would do: by estimates, then compiled.
struct BatchAdvice {
  uint32_t largest_micro_batch = 0;  // with which some policy within the limits fits, compiled in full; 0: none
  // micro_batch and gradient_accumulation of the configured product with the least step time; 0: none fits, or they
  // were the planner's to choose
  uint32_t micro_batch = 0, accumulation = 0;
  double seconds = 0;
};
// The micro_batch of that advice, without a search for the largest; 0: none fits.
uint32_t fastest_micro_batch(const PlanRequest& request, const StepPlan& plan);
// plan: of the request
BatchAdvice advise_batch(const PlanRequest& request, const StepPlan& plan);

}  // namespace tandem
