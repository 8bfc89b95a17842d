// Matrix operations of a warp, lane by lane as the PTX manual lays out their fragments. Sums in f32, in the order of k.
#include <array>

#include "core/abi/numeric.h"
#include "tests/support/cuda_host/executor.h"

namespace tandem::cuda_host {
namespace {

// d (16, 8) += a (16, K) b (K, 8); d: lane l has rows l / 4 and l / 4 + 8, columns l % 4 * 2 and the next
template <int K>
void multiply(const float (&a)[16][K], const float (&b)[K][8], void* const* lanes) {
  float d[16][8];
  const auto element = [&d](int lane, int i) -> float& { return d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2]; };
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) element(lane, i) = static_cast<const Mma*>(lanes[lane])->d[i];
  for (int row = 0; row < 16; ++row)
    for (int k = 0; k < K; ++k)
      for (int column = 0; column < 8; ++column) d[row][column] += a[row][k] * b[k][column];
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) static_cast<const Mma*>(lanes[lane])->d[i] = element(lane, i);
}

// per: elements a register; a: register j of lane l has row l / 4 + j % 2 * 8, from column l % 4 * per + j / 2 * (K /
// 2)
template <int K, typename Decode>
void multiply_fragments(void* const* lanes, const Decode& decode) {
  constexpr int per = K / 8, bits = 32 / per;
  constexpr uint32_t mask = (1u << bits) - 1;
  float a[16][K], b[K][8];
  for (int lane = 0; lane < 32; ++lane) {
    const Mma& m = *static_cast<const Mma*>(lanes[lane]);
    const int group = lane / 4, first = lane % 4 * per;
    for (int i = 0; i < per; ++i) {
      for (int j = 0; j < 4; ++j)
        a[group + j % 2 * 8][first + j / 2 * (K / 2) + i] = decode(m.a[j] >> (bits * i) & mask);
      for (int j = 0; j < 2; ++j) b[first + j * (K / 2) + i][group] = decode(m.b[j] >> (bits * i) & mask);
    }
  }
  multiply<K>(a, b, lanes);
}

std::array<float, 256> e4m3_values() {
  std::array<float, 256> values;
  for (uint32_t code = 0; code < 256; ++code) values[code] = abi::f32_from_e4m3(code);
  return values;
}

const std::array<float, 256> kE4m3Values = e4m3_values();

uint32_t half_of(const void* lane, int i) {  // the i-th 16-bit element of the lane's row
  return static_cast<const MatrixRow*>(lane)->row[i / 2] >> (i % 2 * 16) & 0xffffu;
}

}  // namespace

void mma_bf16(void* const* lanes) {
  multiply_fragments<16>(lanes, [](uint32_t code) { return abi::f32_from_bf16(code); });
}

void mma_e4m3(void* const* lanes) {
  multiply_fragments<32>(lanes, [](uint32_t code) { return kE4m3Values[code]; });
}

void exchange_rows(void* const* lanes) {
  for (int lane = 0; lane < 32; ++lane)
    for (int j = 0; j < 4; ++j)
      static_cast<const MatrixRow*>(lanes[lane])->r[j] =
          static_cast<const MatrixRow*>(lanes[j * 8 + lane / 4])->row[lane % 4];
}

void exchange_rows_transposed(void* const* lanes) {
  for (int lane = 0; lane < 32; ++lane)
    for (int j = 0; j < 4; ++j) {
      const int from = j * 8 + lane % 4 * 2;
      static_cast<const MatrixRow*>(lanes[lane])->r[j] =
          half_of(lanes[from], lane / 4) | half_of(lanes[from + 1], lane / 4) << 16;
    }
}

}  // namespace tandem::cuda_host
