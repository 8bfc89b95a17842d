// An op's parameter struct of core/abi, type erased: what a dispatch hands to its kernel or shader, to the byte.
#pragma once

#include <array>
#include <cstring>

#include "core/base/error.h"

namespace tandem {

class Parameters {
 public:
  Parameters() = default;
  template <typename T>
  explicit Parameters(const T& p) : size_(sizeof(T)) {
    static_assert(sizeof(T) <= 128 && std::is_trivially_copyable_v<T>);
    std::memcpy(bytes_.data(), &p, sizeof(T));
  }

  template <typename T>
  T as() const {
    TANDEM_CHECK(size_ == sizeof(T), "parameters of {} bytes read as {}", size_, sizeof(T));
    T p;
    std::memcpy(&p, bytes_.data(), sizeof(T));
    return p;
  }
  const std::byte* data() const { return bytes_.data(); }
  size_t size() const { return size_; }
  bool operator==(const Parameters& other) const {
    return size_ == other.size_ && std::memcmp(data(), other.data(), size_) == 0;
  }

 private:
  std::array<std::byte, 128> bytes_{};  // bytes past size_ stay 0
  size_t size_ = 0;
};

}  // namespace tandem
