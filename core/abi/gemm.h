// gemm: C (m, n) = round(A B [+ bias] [+ C]), sums in f32; the accumulate form is the gradient update g = rne(g + dW).
// With a matrix in the bias's place, C = round(alpha A B + beta bias), which Muon's polynomials are made of.
// operands: a, b, bias (n) or (m, ldc)|-, scale_a (1)|-, scale_b (1)|-, c. Row-major; a leading dimension counts
// elements. e4m3 operands stand for code * scale, and only form nt exists for them. bias, if any, has the dtype of c.
// Columns n ... ldc - 1, which pad c, are left undefined.
#ifndef TANDEM_ABI_GEMM_H
#define TANDEM_ABI_GEMM_H
#include "core/abi/abi.h"
TANDEM_ABI_BEGIN

struct Gemm {
  uint32_t m, n, k;
  uint32_t lda, ldb, ldc;
  uint32_t form;               // kGemm...
  uint32_t has_bias;           // 0, 1 or kGemmMatrix
  uint32_t has_scales;         // 1 with e4m3 operands
  uint32_t accumulate;         // 1: c is read too; kGemmOntoZeros: c counts as zeros
  uint32_t fast_accumulation;  // 1, e4m3 alone: a device's matrix units may keep a sum in fewer bits than f32 has
  float alpha, beta;           // with kGemmMatrix; else 0, and not read
};

const uint32_t kGemmNt = 0;  // a (m, k), b (n, k): y = x W^T
const uint32_t kGemmNn = 1;  // a (m, k), b (k, n): dx = dy W
const uint32_t kGemmTn = 2;  // a (k, m), b (k, n): dW = dy^T x

// accumulate: the bits that 1 gives on zeros, but for a zero's sign; c is not read
const uint32_t kGemmOntoZeros = 2;

const uint32_t kGemmMatrix = 2;  // has_bias of a matrix, laid out as c

TANDEM_ABI_END(Gemm)
#endif
