// Rates by size, between those that were measured.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>

namespace tandem {

// What is measured for some sizes, ascending and at least one, at another: between two by the logarithm of the size,
// beyond all as at the nearest one. size_of and value_of: of an element.
template <typename Points, typename SizeOf, typename ValueOf>
double between_sizes(const Points& points, double size, SizeOf size_of, ValueOf value_of) {
  const auto at = [&](const auto& point) { return std::invoke(size_of, point); };
  const auto value = [&](const auto& point) { return std::invoke(value_of, point); };
  const auto above = std::ranges::find_if(points, [&](const auto& point) { return at(point) >= size; });
  if (above == points.begin()) return value(*above);
  const auto below = std::prev(above);
  if (above == points.end()) return value(*below);
  const double t = std::log(size / at(*below)) / std::log(at(*above) / at(*below));
  return value(*below) + t * (value(*above) - value(*below));
}

}  // namespace tandem
