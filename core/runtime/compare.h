// Compares what a candidate wrote with what the reference wrote, by the locked budgets of docs/numerics.md.
#pragma once

#include <span>
#include <string>

#include "core/base/shape.h"

namespace tandem {

enum class Budget {
  exact,  // bit-equal; any NaN equals any NaN
  codes,  // e4m3 codes of what an op made within elementwise: at most 0.1% (and four) differ, each by one step; a NaN's
          // sign is its maker's
  elementwise,  // f32: NMSE 1e-12
  sums,         // f32: NMSE 1e-10
  fp8_gemm,     // NMSE 1e-6, bf16 stores 5e-6: tensor cores keep fewer bits of a sum of e4m3 products than f32 has
  fast_gemm,    // NMSE 1e-4: and still fewer, with fast accumulation
  attention,    // bf16 (P and dS may be bf16 inside): NMSE 3e-5; f32 as sums
  words,        // u32 that hold integers or floats by their bits: equal, or within 4 ulp as floats
  amax,         // u32 that hold bits of the largest bf16 or f32 that an op within a budget wrote: within 1%
};

// The elements that mean something: element i does when i % period < width. period 0: all.
struct Defined {
  uint64_t width = 0, period = 0;
  bool operator()(uint64_t i) const { return period == 0 || i % period < width; }
};

struct Comparison {
  double nmse = 0;     // sum (a - b)^2 / sum b^2 over finite elements; inf against a reference of zeros
  double max_ulp = 0;  // of the stored dtype; integers and codes count steps
  std::string wrong;   // what is over the budget; empty when nothing is
};

// Integers and codes are always exact, but for words and amax. bf16 stores, where nothing else is said: NMSE 1e-7, at
// most 1% of the elements differ, each within 1 ulp of max(|b|, rms b). f32 differences below 2^-100 count for nothing:
// subnormals may flush.
Comparison compare(const TensorDesc& desc, std::span<const std::byte> candidate, std::span<const std::byte> reference,
                   Budget budget, Defined defined = {});

}  // namespace tandem
