#include "backends/cuda/noise.h"

#include <algorithm>
#include <cstring>

#include "core/abi/numeric.h"

namespace tandem::cuda {
namespace {

constexpr uint32_t kBlock = 1 << 20;  // values, which repeat from there on

// About N(0, 1): the sum of four bytes of a random word.
float normal_of(uint32_t word) {
  constexpr float kMean = 4 * 127.5f, kDeviation = 147.8f;
  return (float((word & 255) + (word >> 8 & 255) + (word >> 16 & 255) + (word >> 24)) - kMean) / kDeviation;
}

std::vector<std::byte> make_block(DType dtype) {
  constexpr float kCodes = 80;  // Quantized tensors have their largest value at 224 to 448.
  std::vector<std::byte> block(kBlock * size_of(dtype));
  for (uint32_t i = 0; i < kBlock; ++i) {
    const float x = normal_of(abi::philox(1, 2, i / 4, 0, 0, 0).word[i % 4]);
    const uint32_t code = dtype == DType::e4m3   ? abi::e4m3_from_f32(kCodes * x)
                          : dtype == DType::bf16 ? abi::bf16_from_f32(x)
                                                 : abi::float_bits(x);
    std::memcpy(block.data() + i * size_of(dtype), &code, size_of(dtype));
  }
  return block;
}

const std::vector<std::byte>& block_of(DType dtype) {
  static const std::vector<std::byte> e4m3 = make_block(DType::e4m3), bf16 = make_block(DType::bf16),
                                      f32 = make_block(DType::f32);
  return dtype == DType::e4m3 ? e4m3 : dtype == DType::bf16 ? bf16 : f32;
}

}  // namespace

void fill_with_noise(Device& device, void* memory, uint64_t bytes, DType dtype, cudaStream_t stream) {
  const std::vector<std::byte>& block = block_of(dtype);
  std::byte* const to = static_cast<std::byte*>(memory);
  uint64_t done = std::min<uint64_t>(bytes, block.size());
  device.check_device(cudaMemcpyAsync(to, block.data(), done, cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
  for (; done < bytes; done += std::min(done, bytes - done))
    device.check_device(cudaMemcpyAsync(to + done, to, std::min(done, bytes - done), cudaMemcpyDeviceToDevice, stream),
                        "cudaMemcpyAsync");
}

}  // namespace tandem::cuda
