// Compares what a candidate wrote with what the reference wrote, by the locked budgets of docs/numerics.md.
#pragma once

#include <span>
#include <string>

#include "core/ops/op.h"

namespace tandem {

struct Comparison {
  double nmse = 0;     // sum (a - b)^2 / sum b^2 over finite elements; inf against a reference of zeros
  double max_ulp = 0;  // steps of the stored dtype; integers and codes count steps
  std::string wrong;   // what is over the budget; empty when nothing is
};

// Integers and codes are always exact, but for words and amax. bf16 stores, where nothing else is said: NMSE 1e-7, at
// most 1% of the elements differ, each within 1 ulp of max(|b|, rms b). f32 differences below 2^-100 count for nothing:
// subnormals may flush.
Comparison compare(const TensorDesc& desc, std::span<const std::byte> candidate, std::span<const std::byte> reference,
                   Budget budget, Defined defined = {});

}  // namespace tandem
