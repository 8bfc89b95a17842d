// The exponential for softmax and the sigmoid: half the instructions of abi::exp_f32, which serves any argument.
#pragma once

#include "kernels/device.cuh"

namespace tandem::kernels {

// e^x for x <= 0, within 1 ulp; 0 below -87, where e^x nears the subnormals; NaN for NaN
__device__ __forceinline__ float exp_nonpositive(float x) {
  constexpr float kRounder =
      12582912.0f;  // 1.5 * 2^23: a small float plus this holds its nearest integer in the low bits
  const float shifted = fmaf(x, 1.44269504f, kRounder), n = shifted - kRounder;
  const float r = fmaf(n, 2.12194440e-4f, fmaf(n, -0.693359375f, x));  // x - n ln 2, ln 2 in two parts
  // e^r = 1 + r (1 + r q(r)), q of least largest relative error (3e-9) on |r| <= ln 2 / 2
  float p = fmaf(1.38145278e-3f, r, 8.36874638e-3f);
  p = fmaf(p, r, 4.16683927e-2f);
  p = fmaf(p, r, 0.166665196f);
  p = fmaf(p, r, 0.49999994f);
  p = fmaf(p, r, 1.0f);
  p = fmaf(p, r, 1.0f);
  const float power = abi::bits_float((abi::float_bits(shifted) << 23) + 0x3f800000u);  // 2^n
  return x < -87.0f ? 0.0f : p * power;
}

}  // namespace tandem::kernels
