// The rule of AdamW, by which both of its kernels update a parameter. Roots and quotients are within a few ulps: exact
// ones made an update of bf16 states 15% slower on an H200.
#pragma once

#include "kernels/stochastic.cuh"
#include "kernels/update_words.cuh"

namespace tandem::kernels {

// what every element takes part in
struct Rule {
  float coefficient, beta1, beta2, one_minus_beta1, one_minus_beta2;
  float decay;         // learning_rate * decay
  float rate;          // learning_rate / correction1
  float inverse_root;  // 1 / correction2_root
  float epsilon;
};

// p: the op's parameters
template <typename P>
__device__ __forceinline__ Rule rule_of(const P& p, const abi::UpdateScalars& u) {
  return {u.coefficient,
          p.beta1,
          p.beta2,
          p.one_minus_beta1,
          p.one_minus_beta2,
          u.learning_rate * p.decay,
          u.learning_rate / u.correction1,
          1.0f / u.correction2_root,
          p.epsilon};
}

// a parameter (or its master) after the step
__device__ __forceinline__ float moved(const Rule& r, float w, float m, float v) {
  w = fmaf(-r.decay, w, w);
  return w - r.rate * m * reciprocal(fmaf(root_approximate(v), r.inverse_root, r.epsilon));
}

// random words for p, m and v of a block: what the streams share of the rounds is computed once
struct Random {
  abi::PhiloxWords stream[3];
};

__device__ __forceinline__ Random random_of(const abi::UpdateScalars& u, const abi::StoredBlock& at) {
  Random r;
  for (uint32_t stream = 0; stream < 3; ++stream)
    r.stream[stream] = abi::philox(u.seed_low, u.seed_high, at.block, at.tensor, u.step, stream);
  return r;
}

}  // namespace tandem::kernels
