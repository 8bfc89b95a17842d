// Shape of a dense row-major tensor, and a tensor's description: dtype and shape, no pointer, no device.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/base/dtype.h"
#include "core/base/error.h"

namespace tandem {

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<uint64_t> sizes) : sizes_(sizes) {}
  explicit Shape(std::vector<uint64_t> sizes) : sizes_(std::move(sizes)) {}

  size_t rank() const { return sizes_.size(); }
  uint64_t operator[](size_t axis) const { return sizes_.at(axis); }
  uint64_t back() const { return sizes_.at(rank() - 1); }
  uint64_t count() const;  // number of elements; 1 for rank 0
  uint64_t rows() const;   // count() / back()
  Shape without_last() const;
  bool operator==(const Shape&) const = default;
  std::string text() const;  // "(4, 512, 64)"
  const std::vector<uint64_t>& sizes() const { return sizes_; }

 private:
  std::vector<uint64_t> sizes_;
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
