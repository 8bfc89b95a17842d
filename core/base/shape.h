// Shape of a dense row-major tensor, and a tensor's description: dtype and shape, no pointer, no device.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "core/base/dtype.h"
#include "core/base/error.h"

namespace tandem {

class Shape {
 public:
  static constexpr size_t kMostRank = 4;  // graphs have very many shapes: they lie where they are used

  Shape() = default;
  Shape(std::initializer_list<uint64_t> sizes) : Shape(std::span(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const uint64_t> sizes);  // Exit::internal above kMostRank

  size_t rank() const { return rank_; }
  uint64_t operator[](size_t axis) const;  // Exit::internal beyond the rank
  uint64_t back() const { return (*this)[rank_ - 1]; }
  uint64_t count() const;  // number of elements; 1 for rank 0
  uint64_t rows() const;   // count() / back()
  Shape without_last() const;
  Shape with_first(uint64_t size) const;  // axis 0 has so many
  bool operator==(const Shape&) const = default;
  std::string text() const;  // "(4, 512, 64)"
  std::span<const uint64_t> sizes() const { return {sizes_.data(), rank_}; }

 private:
  std::array<uint64_t, kMostRank> sizes_{};  // 0 beyond the rank
  size_t rank_ = 0;
};

struct TensorDesc {
  DType dtype = DType::none;
  Shape shape;

  uint64_t bytes() const { return dtype == DType::none ? 0 : size_of(dtype) * shape.count(); }
  bool operator==(const TensorDesc&) const = default;
  std::string text() const;  // "bf16 (4, 512, 64)", "-" when absent
};

}  // namespace tandem

template <>
struct fmt::formatter<tandem::Shape> : fmt::formatter<std::string> {
  auto format(const tandem::Shape& s, format_context& c) const { return formatter<std::string>::format(s.text(), c); }
};
template <>
struct fmt::formatter<tandem::TensorDesc> : fmt::formatter<std::string> {
  auto format(const tandem::TensorDesc& d, format_context& c) const {
    return formatter<std::string>::format(d.text(), c);
  }
};
