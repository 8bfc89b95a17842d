// lora_expand_backward: see core/abi/lora_expand_backward.h. A product per part (kernels/gemm_kernel.cuh, which says in
// what order it sums): a block makes 128 rows of dt, and reads their dy once.
// Reads dy (rows, ldc), which is nearly all of the traffic, and b (rows of b, rank), writes dt (rows, count * rank): 2
// bytes per value of dy in bf16, at 90% of an H200's 4.3 TB/s 0.52 ns per 1000.
#include "core/abi/lora_expand_backward.h"

#include "kernels/gemm_kernel.cuh"

namespace tandem::kernels {
namespace {

template <typename T>
void backward(const Call& call, Stream stream) {
  const auto& p = call.as<abi::LoraExpandBackward>();
  const uint32_t width = p.parts.count * p.rank;
  uint32_t row = 0;
  for (uint32_t i = 0; i < p.parts.count; ++i) {
    const uint32_t columns = p.parts.columns[i];
    const GemmOperand<T> dy{call.data<T>(0) + p.parts.first[i], p.ldc, p.rows, columns};
    const GemmOperand<T> b{call.data<T>(1) + size_t(row) * p.rank, p.rank, columns, p.rank};
    const GemmOutput out{.c = call.data<T>(2) + i * p.rank,
                         .bias = nullptr,
                         .scale_a = nullptr,
                         .scale_b = nullptr,
                         .factor = p.scale,
                         .m = p.rows,
                         .n = p.rank,
                         .ldc = width,
                         .accumulate = false,
                         .wide = call.dtype(2) == DType::f32,
                         .packs = true};
    launch_product<abi::kGemmNn>(dy, b, columns, out, stream);
    row += columns;
  }
}

}  // namespace

bool lora_expand_backward(const Call& call, Stream stream) {
  return with_float(call.dtype(0), [&](auto t) { backward<decltype(t)>(call, stream); });
}

}  // namespace tandem::kernels
