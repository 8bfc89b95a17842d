// The random bits of a store by their definition in docs/numerics.md, elements counted one by one and in 64 bits.
#pragma once

#include "core/abi/segments.h"

namespace tandem::test {

struct RandomKey {
  uint32_t seed_low, seed_high, step, rank;
};

// for element i of an operand
inline uint32_t random_word(const abi::Segments& s, const RandomKey& key, uint64_t i, uint32_t stream) {
  const uint64_t e = 4 * (s.first + uint64_t(key.rank) * s.rank_stride) + i;
  uint32_t segment = 0;
  while (segment + 1 < s.count && 4 * uint64_t(s.begin[segment + 1]) <= e) ++segment;
  const uint64_t local = e - 4 * uint64_t(s.begin[segment]);
  const abi::PhiloxWords random =
      abi::philox(key.seed_low, key.seed_high, uint32_t(local / 4), s.tensor[segment], key.step, stream);
  return random.word[local % 4];
}

}  // namespace tandem::test
