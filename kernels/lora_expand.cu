// lora_expand: see core/abi/lora_expand.h. A product per part, and zeros in the columns between parts; the order of
// sums is that of kernels/gemm_kernel.cuh.
// Reads t (rows, count * rank), b (rows of b, rank), writes c (rows, ldc), which is nearly all of the traffic: 2 bytes
// per value in bf16, at 90% of an H200's 4.3 TB/s 0.52 ns per 1000.
#include "core/abi/lora_expand.h"

#include "kernels/gemm_kernel.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kZeroThreads = 128;

// A thread takes 8 columns of a row.
template <typename T>
__global__ void __launch_bounds__(kZeroThreads)
    zero_columns_kernel(T* c, uint32_t rows, uint32_t ldc, uint32_t first, uint32_t columns) {
  const uint64_t packs = columns / 8, i = uint64_t(blockIdx.x) * kZeroThreads + threadIdx.x;
  if (i < rows * packs) store8(c + i / packs * ldc + first + i % packs * 8, Pack{});
}

template <typename T>
void zero_columns(const Call& call, uint32_t first, uint32_t end, Stream stream) {
  const auto& p = call.as<abi::LoraExpand>();
  if (first == end) return;
  const uint64_t packs = uint64_t(p.rows) * ((end - first) / 8);
  launch(zero_columns_kernel<T>, dim3(uint32_t((packs + kZeroThreads - 1) / kZeroThreads)), dim3(kZeroThreads), 0,
         stream, call.data<T>(2), p.rows, p.ldc, first, end - first);
}

template <typename T>
void expand(const Call& call, Stream stream) {
  const auto& p = call.as<abi::LoraExpand>();
  uint32_t row = 0, end = 0;
  for (uint32_t i = 0; i < p.parts.count; ++i) {
    const uint32_t first = p.parts.first[i], columns = p.parts.columns[i];
    zero_columns<T>(call, end, first, stream);
    const GemmOperand<T> t{call.data<T>(0) + i * p.rank, p.parts.count * p.rank, p.rows, p.rank};
    const GemmOperand<T> b{call.data<T>(1) + size_t(row) * p.rank, p.rank, columns, p.rank};
    const GemmOutput out{.c = call.data<T>(2) + first,
                         .bias = nullptr,
                         .scale_a = nullptr,
                         .scale_b = nullptr,
                         .factor = p.scale,
                         .m = p.rows,
                         .n = columns,
                         .ldc = p.ldc,
                         .accumulate = false,
                         .wide = call.dtype(2) == DType::f32,
                         .packs = true};
    launch_product<abi::kGemmNt>(t, b, p.rank, out, stream);
    row += columns;
    end = first + columns;
  }
  zero_columns<T>(call, end, p.ldc, stream);
}

}  // namespace

bool lora_expand(const Call& call, Stream stream) {
  return with_float(call.dtype(0), [&](auto t) { expand<decltype(t)>(call, stream); });
}

}  // namespace tandem::kernels
