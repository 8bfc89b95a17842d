// Kernels with a defect planted in them, and the same kernels without it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tandem::test {

struct Defect {
  const char* name;
  // runs it, and hashes what it wrote
  uint64_t (*planted)();
  uint64_t (*fixed)();
};

const std::vector<Defect>& defects();
const Defect& defect(const std::string& name);  // Exit::internal when there is none

}  // namespace tandem::test
