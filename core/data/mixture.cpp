#include "core/data/mixture.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/data/permutation.h"

namespace tandem {

std::vector<uint32_t> mixture_counts(std::span<const double> weights) {
  const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<uint32_t> counts;
  std::vector<double> remainders;
  for (const double weight : weights) {
    const double share = kMixtureBlock * (weight / all);
    counts.push_back(uint32_t(share));
    remainders.push_back(share - std::floor(share));
  }
  std::vector<size_t> order(weights.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return remainders[a] > remainders[b]; });
  const uint32_t given = std::accumulate(counts.begin(), counts.end(), 0u);
  for (uint32_t i = 0; i < kMixtureBlock - given; ++i) ++counts[order[i]];
  return counts;
}

Draw draw(uint64_t n, std::span<const uint32_t> counts, uint64_t seed) {
  constexpr uint64_t kSalt = 0x4D49585455524531;
  const uint64_t block = n / kMixtureBlock;
  uint64_t slot = permuted_window(n % kMixtureBlock, kMixtureBlock, seed ^ kSalt, block);
  for (size_t source = 0;; ++source) {
    if (slot < counts[source]) return {source, block * counts[source] + slot};
    slot -= counts[source];
  }
}

}  // namespace tandem
