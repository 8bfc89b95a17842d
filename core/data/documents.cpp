#include "core/data/documents.h"

#include <algorithm>
#include <array>

#include "core/base/hash.h"

namespace tandem {

uint64_t Documents::longest() const {
  uint64_t most = 0;
  for (uint64_t d = 0; d < count(); ++d) most = std::max(most, length(d));
  return most;
}

uint64_t Documents::holding(uint64_t token) const {
  const auto behind = [&](const auto& starts) {
    return uint64_t(std::upper_bound(starts.begin(), starts.end(), token) - starts.begin());
  };
  return (mapped_.empty() ? behind(starts_) : behind(mapped_)) - 1;
}

uint64_t Documents::hash() const {
  Xxh3 hash;
  std::array<uint64_t, 4096> part;
  const uint64_t all = count() + 1;
  for (uint64_t d = 0; d < all; d += part.size()) {
    const uint64_t here = std::min<uint64_t>(part.size(), all - d);
    for (uint64_t i = 0; i < here; ++i) part[i] = start(d + i);
    hash.update(std::as_bytes(std::span(part).first(here)));
  }
  return hash.digest();
}

}  // namespace tandem
