#include "core/base/shape.h"

#include <fmt/ranges.h>

namespace tandem {

uint64_t Shape::count() const {
  uint64_t n = 1;
  for (uint64_t size : sizes_)
    TANDEM_CHECK(!__builtin_mul_overflow(n, size, &n), "shape {} has more than 2^64 elements", text());
  return n;
}

uint64_t Shape::rows() const {
  return without_last().count();
}

Shape Shape::without_last() const {
  TANDEM_CHECK(rank() > 0, "a scalar has no last axis");
  return Shape(std::vector<uint64_t>(sizes_.begin(), sizes_.end() - 1));
}

std::string Shape::text() const {
  return fmt::format("({})", fmt::join(sizes_, ", "));
}

std::string TensorDesc::text() const {
  return dtype == DType::none ? std::string("-") : fmt::format("{} {}", name_of(dtype), shape.text());
}

}  // namespace tandem
