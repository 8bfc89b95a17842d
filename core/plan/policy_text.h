// A memory policy in words, as `tandem plan` prints it and plan.json keeps it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/passes/policy.h"

namespace tandem {

struct PolicyLine {
  std::string name, text;  // "offload", "m, v everywhere; gradients in 12 of 28 layers"
};

// words: of memory.offload
std::vector<PolicyLine> describe(const MemoryPolicy& policy, uint32_t layers, bool fp8,
                                 std::span<const std::string> words);

}  // namespace tandem
