// core/runtime/compare.h on the tensors of tests.
#pragma once

#include "core/runtime/compare.h"
#include "tests/support/tensor.h"

namespace tandem::test {

using tandem::Budget;

// Returns what is wrong, empty when nothing is.
inline std::string difference(const Tensor& candidate, const Tensor& reference, Budget budget) {
  return compare(reference.desc(), candidate.bytes(), reference.bytes(), budget).wrong;
}

}  // namespace tandem::test
