// dequantize_blocks: see core/abi/dequantize_blocks.h. A thread 4 elements.
// Reads a micro-step's codes (rows, columns) and scales, writes x: as bf16 3.01 bytes per element, at 90% of 4.3 TB/s
// 0.8 ns per 1000 elements; where the codes lie in host memory, as a step's inputs do, at the link's rate. No sums.
#include "core/abi/dequantize_blocks.h"

#include "kernels/quad.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 256;

template <typename T>
__global__ void __launch_bounds__(kThreads)
    dequantize_blocks_kernel(abi::DequantizeBlocks p, const uint8_t* __restrict__ codes,
                             const uint8_t* __restrict__ scales, const int32_t* __restrict__ counter,
                             T* __restrict__ x) {
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x, quads = p.columns / 4;
  const uint32_t row = i / quads, column = i % quads * 4;
  if (row >= p.rows) return;
  const uint32_t turn = counter ? (uint32_t(counter[0] - 1) & 1) * p.micro_steps + uint32_t(counter[1]) : 0;
  const size_t from = size_t(turn) * p.rows + row;
  const uint32_t code = *reinterpret_cast<const uint32_t*>(codes + from * p.columns + column);
  const float scale = abi::state_scale(scales[from * abi::state_blocks(p.columns) + column / abi::kStateBlock]);
  Four v;
  for (uint32_t j = 0; j < 4; ++j) v.v[j] = abi::f32_from_e4m3(code >> 8 * j & 0xffu) * scale;
  store_four(x + size_t(i) * 4, v);
}

}  // namespace

bool dequantize_blocks(const Call& call, Stream stream) {
  const auto& p = call.as<abi::DequantizeBlocks>();
  return with_float(call.dtype(3), [&](auto t) {
    using T = decltype(t);
    launch(dequantize_blocks_kernel<T>, dim3(ceil_div(p.rows * (p.columns / 4), kThreads)), dim3(kThreads), 0, stream,
           p, call.data<uint8_t>(0), call.data<uint8_t>(1), call.data<int32_t>(2), call.data<T>(3));
  });
}

}  // namespace tandem::kernels
