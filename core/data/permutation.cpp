#include "core/data/permutation.h"

#include <bit>
#include <utility>

#include "core/abi/numeric.h"

namespace tandem {

uint64_t permuted_window(uint64_t i, uint64_t count, uint64_t seed, uint64_t epoch) {
  const uint32_t half = (uint32_t(std::bit_width(count - 1)) + 1) / 2;
  const uint64_t mask = (uint64_t(1) << half) - 1;
  do {
    uint64_t left = i >> half, right = i & mask;
    for (uint32_t round = 0; round < 8; ++round) {
      const abi::PhiloxWords random = abi::philox(uint32_t(seed), uint32_t(seed >> 32), uint32_t(right), round,
                                                  uint32_t(epoch), uint32_t(epoch >> 32));
      left = std::exchange(right, left ^ (random.word[0] & mask));
    }
    i = left << half | right;
  } while (i >= count);
  return i;
}

}  // namespace tandem
