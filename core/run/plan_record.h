// plan.json: what a run was compiled to.
#pragma once

#include <string>

#include "core/base/json.h"
#include "core/passes/plan_memory.h"
#include "core/passes/policy.h"
#include "core/run/checkpoint.h"
#include "core/run/choices.h"
#include "core/step/step_shape.h"

namespace tandem {

// words: of memory.offload. recompute and offload are lists of names, or one such list a layer; what belongs to no
// layer has offload_outside
Json policy_json(const MemoryPolicy& policy, std::span<const std::string> words);

// device_bytes: what metrics call memory; details: see plan_details.h
void write_plan(const std::string& path, const DeviceInfo& device, const StepShape& shape, const MemoryPolicy& policy,
                std::span<const std::string> words, const MemoryPlan& plan, uint64_t device_bytes,
                const KernelRecord& kernels, const WorldRecord& world, const Json& details);

}  // namespace tandem
