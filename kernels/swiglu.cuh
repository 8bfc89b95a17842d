// The products of SwiGLU and their derivatives, of 8 columns at a time.
#pragma once

#include "kernels/sigmoid.cuh"

namespace tandem::kernels {

// silu(gate) * up
__device__ __forceinline__ Pack swiglu_of(const Pack& gate, const Pack& up) {
  Pack v;
  for (int e = 0; e < 8; ++e) v.v[e] = gate.v[e] * sigmoid(gate.v[e]).s * up.v[e];
  return v;
}

// with s the sigmoid, silu = x s and its derivative is s (1 + x (1 - s))
__device__ __forceinline__ void differentiate_swiglu(const Pack& dy, const Pack& gate, const Pack& up, Pack& dgate,
                                                     Pack& dup) {
  for (int e = 0; e < 8; ++e) {
    const auto [s, rest] = sigmoid(gate.v[e]);
    dgate.v[e] = dy.v[e] * up.v[e] * (s * fmaf(gate.v[e], rest, 1.0f));
    dup.v[e] = dy.v[e] * (gate.v[e] * s);
  }
}

}  // namespace tandem::kernels
