// Compares what a candidate wrote with the reference, by the locked budgets of docs/numerics.md.
#pragma once

#include <string>

#include "tests/support/tensor.h"

namespace tandem::test {

enum class Budget {
  exact,        // bit-equal; any NaN equals any NaN
  elementwise,  // f32: NMSE 1e-12
  sums,         // f32: NMSE 1e-10
  fp8_gemm,     // NMSE 1e-6
  words,        // u32 that hold integers or floats by their bits: equal, or within 4 ulp as floats
};

// Integers and codes are always exact; bf16 stores: NMSE 1e-7, at most 1% of the elements differ, each within 1 ulp of
// max(|b|, rms b). Returns what is wrong, empty when nothing is.
std::string difference(const Tensor& candidate, const Tensor& reference, Budget budget);

}  // namespace tandem::test
