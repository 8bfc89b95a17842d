// The kernels that a run takes where its backend has a choice, and how that is told.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/runtime/backend.h"

namespace tandem {

// The rules of `tandem train --choices`: "default", or a file that is a plan.json, a checkpoint's manifest.json or an
// object of kernels by name. What the file lacks is the library's first proposal. Exit::input for another file.
ChoiceRules read_choices(const std::string& file);

// Kernels taken, and how many by where they come from: "cache", "timed", "default", and `given` for given ones.
struct KernelRecord {
  KernelChoices kernels;
  std::vector<std::pair<std::string, size_t>> from;  // Without those of which there are none.

  std::string text() const;  // "24 from the cache, 3 timed here"; empty if there are none.
};
KernelRecord record_kernels(Backend& backend, const std::string& given);

}  // namespace tandem
