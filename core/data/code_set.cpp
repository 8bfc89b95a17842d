#include "core/data/code_set.h"

#include <algorithm>

namespace tandem {

void CodeSet::add(char32_t first, char32_t last) {
  for (; first <= last && first < 128; ++first) ascii_[first / 64] |= uint64_t(1) << (first % 64);
  if (first > last) return;
  if (others_.empty()) others_.resize(kWords);
  for (; first <= last; ++first) others_[first / 64] |= uint64_t(1) << (first % 64);
}

void CodeSet::unite(const CodeSet& other) {
  for (size_t i = 0; i < 2; ++i) ascii_[i] |= other.ascii_[i];
  if (other.others_.empty()) return;
  if (others_.empty()) others_.resize(kWords);
  for (size_t i = 0; i < kWords; ++i) others_[i] |= other.others_[i];
}

void CodeSet::intersect(const CodeSet& other) {
  for (size_t i = 0; i < 2; ++i) ascii_[i] &= other.ascii_[i];
  if (other.others_.empty()) others_.clear();
  for (size_t i = 0; i < others_.size(); ++i) others_[i] &= other.others_[i];
}

void CodeSet::invert() {
  for (uint64_t& word : ascii_) word = ~word;
  if (others_.empty()) others_.resize(kWords);
  for (size_t i = 2; i < kWords; ++i) others_[i] = ~others_[i];
}

}  // namespace tandem
