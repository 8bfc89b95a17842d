// Sums as APOLLO's ops make them (core/abi/apollo_norm.h), in f32: 64 lanes, then neighbours, then pairs of them.
#pragma once

#include <array>
#include <cstdint>

namespace tandem::test {

// f(i): what element i adds
template <typename F>
float sum_in_lanes(uint64_t count, const F& f) {
  std::array<float, 64> lanes{};
  for (uint64_t i = 0; i < count; ++i) lanes[i % 64] += f(i);
  for (size_t width = 64; width > 1; width /= 2)
    for (size_t i = 0; i < width / 2; ++i) lanes[i] = lanes[2 * i] + lanes[2 * i + 1];
  return lanes[0];
}

}  // namespace tandem::test
