// The factors of four elements of a matrix, whose channels are its rows or, transposed, its columns.
#pragma once

#include "kernels/quad.cuh"

namespace tandem::kernels {

// For elements 4 i ... 4 i + 3; p: an op's parameters, with columns (a multiple of 4) and transposed
template <typename P>
__device__ __forceinline__ Four channel_factors(const P& p, const float* __restrict__ factors, uint32_t i) {
  if (p.transposed) return load_four(factors + 4 * i % p.columns);
  const float f = factors[4 * i / p.columns];
  return {{f, f, f, f}};
}

}  // namespace tandem::kernels
