// lora_expand_weight_gradient: see core/abi/lora_expand_weight_gradient.h. A product per part: a
// block makes 128 rows of g over all tokens; the order of sums is that of kernels/gemm_kernel.cuh.
// Reads dy (rows, ldc), which is nearly all of the traffic, t (rows, count * rank), updates g (rows of b, rank): 2
// bytes per value of dy in bf16, at 90% of an H200's 4.3 TB/s 0.52 ns per 1000.
#include "core/abi/lora_expand_weight_gradient.h"

#include "kernels/gemm_kernel.cuh"

namespace tandem::kernels {
namespace {

template <typename T>
void weight_gradient(const Call& call, Stream stream) {
  const auto& p = call.as<abi::LoraExpandWeightGradient>();
  const bool wide = call.dtype(2) == DType::f32;
  uint32_t row = 0;
  for (uint32_t i = 0; i < p.parts.count; ++i) {
    const uint32_t columns = p.parts.columns[i];
    const GemmOperand<T> dy{call.data<T>(0) + p.parts.first[i], p.ldc, p.rows, columns};
    const GemmOperand<T> t{call.data<T>(1) + i * p.rank, p.parts.count * p.rank, p.rows, p.rank};
    const GemmOutput out{.c = call.data<char>(2) + size_t(row) * p.rank * (wide ? sizeof(float) : sizeof(bf16)),
                         .bias = nullptr,
                         .scale_a = nullptr,
                         .scale_b = nullptr,
                         .factor = p.scale,
                         .m = columns,
                         .n = p.rank,
                         .ldc = p.rank,
                         .accumulate = true,
                         .wide = wide,
                         .packs = true};
    launch_product<abi::kGemmTn>(dy, t, p.rows, out, stream);
    row += columns;
  }
}

}  // namespace

bool lora_expand_weight_gradient(const Call& call, Stream stream) {
  return with_float(call.dtype(0), [&](auto t) { weight_gradient<decltype(t)>(call, stream); });
}

}  // namespace tandem::kernels
