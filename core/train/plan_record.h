// plan.json: what a run was compiled to.
#pragma once

#include <string>

#include "core/model/step_graph.h"
#include "core/passes/plan_memory.h"

namespace tandem {

// device_bytes: what metrics call memory
void write_plan(const std::string& path, const DeviceInfo& device, const StepShape& shape, const MemoryPlan& plan,
                uint64_t device_bytes);

}  // namespace tandem
