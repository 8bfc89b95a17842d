// The batch of a step whose number of sequences alone is given.
#pragma once

#include "core/plan/planner.h"

namespace tandem {

// The micro_batch that the planner compares others with: the largest divisor of sequences whose micro-step has at most
// 16384 tokens, among those that the recipe can take; 1 where it can take none.
uint32_t first_micro_batch(uint32_t sequences, uint32_t sequence_length, Recipe recipe);

// The request with the micro_batch and accumulation that are predicted to take the least time per step and fit, where
// request.sequences leaves them open. Where none fits, those of the smallest micro-step.
PlanRequest with_batch(PlanRequest request);

// The same, and what that step will run: decide of it. Sets request.shape.
StepPlan decide_with_batch(PlanRequest& request);

}  // namespace tandem
