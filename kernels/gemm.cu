// gemm: see core/abi/gemm.h. Any shape, for what the library does not take; kernels/gemm_kernel.cuh says how, and in
// what order it sums. Reads a, b, bias, scales, and c when it accumulates, writes c. Compute-bound: 4096^3 in bf16 are
// 137 GFLOP, 0.17 ms at H200's 790 TFLOP/s; mma.sync, not wgmma, so expect 2 to 3 times that. A row reads b once: 1536
// x 1536 bf16 are 4.7 MB, 1.2 us at 90% of 4.3 TB/s.
#include "kernels/gemm_kernel.cuh"

namespace tandem::kernels {
namespace {

template <uint32_t form, typename T>
void launch_gemm(const Call& call, Stream stream) {
  const auto& p = call.as<abi::Gemm>();
  const bool a_along = form != abi::kGemmTn, b_along = form == abi::kGemmNt;
  const GemmOperand<T> a{call.data<T>(0), p.lda, a_along ? p.m : p.k, a_along ? p.k : p.m};
  const GemmOperand<T> b{call.data<T>(1), p.ldb, b_along ? p.n : p.k, b_along ? p.k : p.n};
  void* const c = call.data<void>(5);
  const bool matrix = p.has_bias == abi::kGemmMatrix;
  const GemmOutput out{.c = c,
                       .bias = call.data<void>(2),
                       .scale_a = call.data<float>(3),
                       .scale_b = call.data<float>(4),
                       .factor = matrix ? p.alpha : 1.0f,
                       .m = p.m,
                       .n = p.n,
                       .ldc = p.ldc,
                       .accumulate = p.accumulate == 1,
                       .wide = call.dtype(5) == DType::f32,
                       .packs = p.ldc % 8 == 0 && at_16_bytes(c),
                       .matrix = matrix,
                       .beta = matrix ? p.beta : 1.0f};
  launch_product<form>(a, b, p.k, out, stream);
}

template <typename T>
void launch_form(const Call& call, Stream stream) {
  switch (call.as<abi::Gemm>().form) {
    case abi::kGemmNt:
      return launch_gemm<abi::kGemmNt, T>(call, stream);
    case abi::kGemmNn:
      return launch_gemm<abi::kGemmNn, T>(call, stream);
    default:
      return launch_gemm<abi::kGemmTn, T>(call, stream);
  }
}

}  // namespace

bool gemm(const Call& call, Stream stream) {
  const DType a = call.dtype(0), c = call.dtype(5);
  if (c != DType::f32 && c != DType::bf16) return false;
  if (a == DType::f32 && c == DType::f32) return launch_form<float>(call, stream), true;
  if (a == DType::bf16) return launch_form<bf16>(call, stream), true;
  if (a == DType::e4m3) return launch_gemm<abi::kGemmNt, uint8_t>(call, stream), true;
  return false;
}

}  // namespace tandem::kernels
