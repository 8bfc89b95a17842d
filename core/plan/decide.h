// What a step will run on a device: decided here, for `tandem plan` and `tandem train` alike.
#pragma once

#include "core/plan/planner.h"

namespace tandem {

// The policy that limits name; what they leave open asks for nothing.
MemoryPolicy policy_asked(const PolicyLimits& limits);

// The step with policy_asked where that fits, or else what plan_step finds within the limits; the chosen policy says
// the LM-head chunks too. Nothing is searched for in the first case: there are no runners-up.
// estimates: of the same model and target with any batch. New ones are added, and the plan has them all.
StepPlan decide(const PlanRequest& request, std::shared_ptr<Estimates> estimates = no_estimates());

}  // namespace tandem
