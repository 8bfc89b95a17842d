// A vector whose first N elements lie in it: graphs have very many lists of few values.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <type_traits>
#include <utility>

#include "core/base/error.h"

namespace tandem {

// As std::vector, but that indices are checked; a list that has grown beyond N lies on the heap.
template <typename T, uint32_t N>
class InlineVector {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  InlineVector() = default;
  InlineVector(std::initializer_list<T> list) : InlineVector(list.begin(), list.end()) {}
  template <typename Iterator>
  InlineVector(Iterator first, Iterator last) {
    resize(size_t(last - first));
    std::copy(first, last, begin());
  }
  InlineVector(const InlineVector& other) : few_(other.few_) {
    if (other.heap_) append(other);
    else size_ = other.size_;
  }
  InlineVector(InlineVector&& other) noexcept { take(other); }
  InlineVector& operator=(InlineVector other) noexcept {
    delete[] heap_;
    take(other);
    return *this;
  }
  ~InlineVector() { delete[] heap_; }

  T* data() { return heap_ ? heap_ : few_.data(); }
  const T* data() const { return heap_ ? heap_ : few_.data(); }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Exit::internal beyond the size: no sanitizer sees it.
  T& operator[](size_t i) { return const_cast<T&>(std::as_const(*this)[i]); }
  const T& operator[](size_t i) const {
    TANDEM_CHECK(i < size_, "element {} of {}", i, size_);
    return data()[i];
  }
  const T& front() const { return (*this)[0]; }
  const T& back() const { return (*this)[size_ - 1]; }

  void reserve(size_t capacity) {
    if (capacity <= capacity_) return;
    T* const more = new T[capacity];
    std::copy_n(data(), size_, more);
    delete[] std::exchange(heap_, more);
    capacity_ = uint32_t(capacity);
  }
  void resize(size_t size) {
    reserve(size);
    for (size_t i = size_; i < size; ++i) data()[i] = T();
    size_ = uint32_t(size);
  }
  void push_back(T value) {
    make_room(1);
    data()[size_++] = value;
  }
  template <typename Range>
  void append(const Range& more) {
    make_room(more.size());
    for (const T& value : more) push_back(value);
  }
  void append(std::initializer_list<T> more) { append<std::initializer_list<T>>(more); }
  bool operator==(const InlineVector& other) const { return std::equal(begin(), end(), other.begin(), other.end()); }

 private:
  void make_room(size_t more) {
    if (size_ + more > capacity_) reserve(std::max(size_ + more, 2 * size_t(capacity_)));
  }
  void take(InlineVector& other) {
    heap_ = std::exchange(other.heap_, nullptr);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, N);
    few_ = other.few_;
  }

  T* heap_ = nullptr;  // null: the elements are few_
  uint32_t size_ = 0, capacity_ = N;
  std::array<T, N> few_{};
};

}  // namespace tandem
