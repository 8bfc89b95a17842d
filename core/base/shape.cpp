#include "core/base/shape.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace tandem {

Shape::Shape(std::span<const uint64_t> sizes) : rank_(sizes.size()) {
  TANDEM_CHECK(rank_ <= kMostRank, "a shape of {} axes, at most {} are supported", rank_, kMostRank);
  std::ranges::copy(sizes, sizes_.begin());
}

uint64_t Shape::operator[](size_t axis) const {
  TANDEM_CHECK(axis < rank_, "axis {} of shape {}", axis, text());
  return sizes_[axis];
}

uint64_t Shape::count() const {
  uint64_t n = 1;
  for (uint64_t size : sizes())
    TANDEM_CHECK(!__builtin_mul_overflow(n, size, &n), "shape {} has more than 2^64 elements", text());
  return n;
}

uint64_t Shape::rows() const {
  return without_last().count();
}

Shape Shape::without_last() const {
  TANDEM_CHECK(rank() > 0, "a scalar has no last axis");
  return Shape(sizes().first(rank_ - 1));
}

Shape Shape::with_first(uint64_t size) const {
  TANDEM_CHECK(rank() > 0, "a scalar has no first axis");
  Shape shape = *this;
  shape.sizes_[0] = size;
  return shape;
}

std::string Shape::text() const {
  return fmt::format("({})", fmt::join(sizes(), ", "));
}

std::string TensorDesc::text() const {
  return dtype == DType::none ? std::string("-") : fmt::format("{} {}", name_of(dtype), shape.text());
}

}  // namespace tandem
