// What a plan says of adapters and of the frozen base that they stand on.
#pragma once

#include <string>

#include "core/base/json.h"
#include "core/plan/planner.h"

namespace tandem::cli {

// Elements of all tensors that train.
uint64_t trainable_parameters(const StepSpec& spec);

// Where the base is; null where every parameter trains.
Json base_json(const PlanRequest& request, const StepPlan& plan);

// Where a replay begins and what it stores; null where nothing is replayed.
Json replay_json(const StepSpec& spec);

}  // namespace tandem::cli
