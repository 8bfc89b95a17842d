// Medians of measured values.
#pragma once

#include <algorithm>
#include <vector>

namespace tandem {

// The upper one of the two in the middle of an even count; there is at least one value.
inline double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ptrdiff_t(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

}  // namespace tandem
