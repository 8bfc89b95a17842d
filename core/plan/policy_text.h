// A memory policy in words, as `tandem plan` prints it and plan.json keeps it.
#pragma once

#include <string>
#include <vector>

#include "core/passes/policy.h"
#include "core/step/step_spec.h"

namespace tandem {

struct PolicyLine {
  std::string name, text;  // "offload", "m, v everywhere; gradients in 12 of 28 layers"
};

std::vector<PolicyLine> describe(const StepSpec& spec, const MemoryPolicy& policy);

// Layers of a frozen base.
struct BaseLayers {
  uint32_t on_device = 0, transposes_remade = 0;
};
BaseLayers base_layers(const StepSpec& spec, const MemoryPolicy& policy);

}  // namespace tandem
