// A set of code points: what a class of a pattern matches.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/data/unicode.h"

namespace tandem {

class CodeSet {
 public:
  bool contains(char32_t c) const {
    if (c < 128) return ascii_[c / 64] >> (c % 64) & 1;
    return !others_.empty() && (others_[c / 64] >> (c % 64) & 1);
  }
  void add(char32_t first, char32_t last);
  // Adds what a test says of each code point.
  template <typename Test>
  void add_if(Test&& test) {
    for (char32_t c = 0; c < kCodePoints; ++c)
      if (test(c)) add(c, c);
  }
  void unite(const CodeSet& other);
  void intersect(const CodeSet& other);
  void invert();

  const std::array<uint64_t, 2>& ascii() const { return ascii_; }
  bool has_others() const { return !others_.empty(); }  // code points above 127, perhaps
  bool operator==(const CodeSet&) const = default;

 private:
  static constexpr size_t kWords = kCodePoints / 64;

  std::array<uint64_t, 2> ascii_ = {};
  std::vector<uint64_t> others_;  // (code points / 64), or empty where there are none above 127; words 0 and 1 unused
};

}  // namespace tandem
