// A set of the enumerators of E, by their values 0 to 31.
#pragma once

#include <bit>
#include <compare>
#include <cstdint>
#include <initializer_list>

namespace tandem {

template <typename E>
class EnumSet {
 public:
  constexpr EnumSet() = default;
  constexpr EnumSet(std::initializer_list<E> members) {
    for (E e : members) insert(e);
  }
  static constexpr EnumSet of(uint32_t bits) {  // bit i: enumerator i
    EnumSet set;
    set.bits_ = bits;
    return set;
  }
  constexpr bool contains(E e) const { return (bits_ >> int(e) & 1) != 0; }
  constexpr void insert(E e) { bits_ |= uint32_t{1} << int(e); }
  constexpr void toggle(E e) { bits_ ^= uint32_t{1} << int(e); }
  constexpr uint32_t size() const { return uint32_t(std::popcount(bits_)); }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr uint32_t bits() const { return bits_; }
  friend constexpr EnumSet operator|(EnumSet a, EnumSet b) { return of(a.bits_ | b.bits_); }
  auto operator<=>(const EnumSet&) const = default;

 private:
  uint32_t bits_ = 0;
};

}  // namespace tandem
