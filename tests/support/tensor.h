// A view of an operand for references and fills: element i as a number, rounded as its dtype says when it is stored.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "core/abi/state_codes.h"
#include "core/base/shape.h"

namespace tandem::test {

class Tensor {
 public:
  Tensor() = default;  // absent
  Tensor(TensorDesc desc, std::byte* data) : desc_(std::move(desc)), data_(data) {}
  // f32 elements kept as double, for derivatives by differences; wide holds desc.shape.count() elements
  Tensor(TensorDesc desc, double* wide) : desc_(std::move(desc)), wide_(wide) {}

  bool present() const { return desc_.dtype != DType::none; }
  const TensorDesc& desc() const { return desc_; }
  DType dtype() const { return desc_.dtype; }
  uint64_t size() const { return desc_.shape.count(); }
  std::span<const std::byte> bytes() const { return {data_, desc_.bytes()}; }  // not of a wide one

  // an e4m3 or e5m3 code stands for its value
  double get(uint64_t i) const {
    if (wide_) return wide_[i];
    switch (dtype()) {
      case DType::f32:
        return load<float>(i);
      case DType::bf16:
        return abi::f32_from_bf16(load<uint16_t>(i));
      case DType::e4m3:
        return abi::f32_from_e4m3(load<uint8_t>(i));
      case DType::e5m3:
        return abi::f32_from_e5m3(load<uint8_t>(i));
      case DType::u8:
        return load<uint8_t>(i);
      case DType::i32:
        return load<int32_t>(i);
      case DType::u32:
        return load<uint32_t>(i);
      case DType::none:
        break;
    }
    TANDEM_CHECK(false, "read of an absent operand");
  }

  void set(uint64_t i, double value) {
    if (wide_) {
      wide_[i] = value;
      return;
    }
    switch (dtype()) {
      case DType::f32:
        return store(i, static_cast<float>(value));
      case DType::bf16:
        return store(i, static_cast<uint16_t>(abi::bf16_from_f32(static_cast<float>(value))));
      case DType::i32:
        return store(i, static_cast<int32_t>(value));
      case DType::u32:
        return store(i, static_cast<uint32_t>(value));
      case DType::u8:
        return store(i, static_cast<uint8_t>(value));
      case DType::e4m3:
      case DType::e5m3:
      case DType::none:
        break;
    }
    TANDEM_CHECK(false, "store of a number as {}", desc_);
  }

  // the bits of element i: what exact comparisons and stores of codes and bf16 work on
  uint32_t bits(uint64_t i) const {
    switch (size_of(dtype())) {
      case 1:
        return load<uint8_t>(i);
      case 2:
        return load<uint16_t>(i);
      default:
        return load<uint32_t>(i);
    }
  }
  void set_bits(uint64_t i, uint32_t bits) {
    switch (size_of(dtype())) {
      case 1:
        return store(i, static_cast<uint8_t>(bits));
      case 2:
        return store(i, static_cast<uint16_t>(bits));
      default:
        return store(i, bits);
    }
  }

  int32_t i32(uint64_t i) const { return load<int32_t>(i); }
  uint32_t u32(uint64_t i) const { return load<uint32_t>(i); }
  float word_as_float(uint64_t i) const { return load<float>(i); }  // for a u32 operand that holds floats by their bits
  void set_word(uint64_t i, float value) { store(i, value); }
  bool wide() const { return wide_ != nullptr; }
  bool is_nan(uint64_t i) const { return std::isnan(get(i)); }

 private:
  template <typename T>
  T load(uint64_t i) const {
    TANDEM_CHECK(data_ && i < size(), "element {} of {}", i, desc_);
    T value;
    std::memcpy(&value, data_ + i * sizeof(T), sizeof(T));
    return value;
  }
  template <typename T>
  void store(uint64_t i, T value) {
    TANDEM_CHECK(data_ && i < size(), "element {} of {}", i, desc_);
    std::memcpy(data_ + i * sizeof(T), &value, sizeof(T));
  }

  TensorDesc desc_;
  std::byte* data_ = nullptr;
  double* wide_ = nullptr;
};

using Operands = std::span<Tensor>;

// bits(|x|) of what the element holds, widened to f32: amax's order, in which NaN wins
inline uint32_t magnitude_bits(const Tensor& x, uint64_t i) {
  return abi::float_bits(static_cast<float>(x.get(i))) & 0x7fffffffu;
}

// amax[0] of x, not below what stands there. Fused in an op it is of the stored, rounded values.
inline void update_amax(const Tensor& x, Tensor& amax) {
  uint32_t largest = amax.u32(0);
  for (uint64_t i = 0; i < x.size(); ++i) largest = std::max(largest, magnitude_bits(x, i));
  amax.set_bits(0, largest);
}

}  // namespace tandem::test
