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
// "codes of 21 of 28 layers on the device, 7 on the host; transposes remade in 28"; empty where every parameter trains.
std::string base_text(const StepSpec& spec, const MemoryPolicy& policy);

}  // namespace tandem::cli
