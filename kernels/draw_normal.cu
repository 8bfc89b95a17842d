// draw_normal: see core/abi/normal.h. A thread a pack of 8 elements, two counters of Philox.
// Writes 2 or 4 bytes per element, with about 130 operations of f64 that are not fused: where f64 runs at a 64th of
// f32's rate (RTX 4090: 0.65 TFLOP/s), 5e9 elements per second; on an H200 what the memory takes.
#include "kernels/device.cuh"

namespace tandem::kernels {
namespace {

constexpr uint32_t kThreads = 256, kPack = 8;

// Thread t: the elements 8t to 8t + 7 behind element first / 8 * 8, where they are asked for. aligned: packs in out
// are.
template <typename T>
__global__ void __launch_bounds__(kThreads) draw_normal_kernel(abi::NormalDraw values, T* out, bool aligned) {
  const uint64_t begin = (values.first / kPack + uint64_t(blockIdx.x) * kThreads + threadIdx.x) * kPack;
  const uint64_t end = values.first + values.count;
  if (begin >= end) return;
  Pack pack;
  for (uint32_t half = 0; half < 2; ++half) {
    const abi::PhiloxWords words = abi::philox(uint32_t(values.seed), uint32_t(values.seed >> 32),
                                               uint32_t(begin / 4) + half, values.number, 0, values.stream);
    for (uint32_t i = 0; i < 4; ++i)
      pack.v[4 * half + i] = float(values.scale * abi::inverse_normal(abi::centred_probability(words.word[i])));
  }
  if (aligned && begin + kPack <= end) {
    store8(out + (begin - values.first), pack);
    return;
  }
  for (uint32_t i = 0; i < kPack; ++i) {
    const uint64_t element = begin + i;
    if (element >= values.first && element < end) out[element - values.first] = from_float<T>(pack.v[i]);
  }
}

}  // namespace

void draw_normal(const abi::NormalDraw& values, const Operand& out, Stream stream) {
  const uint64_t packs = (values.first + values.count + kPack - 1) / kPack - values.first / kPack;
  const dim3 blocks(uint32_t((packs + kThreads - 1) / kThreads));
  with_float(out.dtype, [&](auto t) {
    using T = decltype(t);
    const bool aligned = values.first % kPack == 0 && reinterpret_cast<uintptr_t>(out.data) % 16 == 0;
    launch(draw_normal_kernel<T>, blocks, dim3(kThreads), 0, stream, values, static_cast<T*>(out.data), aligned);
  });
}

}  // namespace tandem::kernels
