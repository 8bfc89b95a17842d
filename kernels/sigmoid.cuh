// The sigmoid, for SwiGLU: abi::silu's exponential, for any argument and without fma, would keep it from the memory's
// rate.
#pragma once

#include "kernels/exp.cuh"

namespace tandem::kernels {

// sigmoid(x) and 1 - sigmoid(x), neither from a difference that cancels
struct Sigmoid {
  float s, rest;
};

__device__ __forceinline__ Sigmoid sigmoid(float x) {
  const float e = exp_nonpositive(-fabsf(x)), larger = reciprocal(1.0f + e), smaller = e * larger;
  return x < 0.0f ? Sigmoid{smaller, larger} : Sigmoid{larger, smaller};
}

}  // namespace tandem::kernels
