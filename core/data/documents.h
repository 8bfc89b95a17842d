// Where the documents of a token file start.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tandem {

class Documents {
 public:
  Documents() = default;  // not known
  // count + 1 tokens, ascending from 0: the first one of each document, then the file's size. A span is kept, not its
  // values.
  explicit Documents(std::span<const uint32_t> mapped) : mapped_(mapped) {}
  explicit Documents(std::vector<uint64_t> starts) : starts_(std::move(starts)) {}

  bool known() const { return !mapped_.empty() || !starts_.empty(); }
  uint64_t count() const { return known() ? mapped_.size() + starts_.size() - 1 : 0; }
  // The first token of document d; the file's size for d = count().
  uint64_t start(uint64_t d) const { return mapped_.empty() ? starts_[d] : mapped_[d]; }
  uint64_t length(uint64_t d) const { return start(d + 1) - start(d); }  // tokens
  uint64_t longest() const;                                              // tokens
  // The document that holds a token.
  uint64_t holding(uint64_t token) const;
  // XXH3-64 of the count + 1 tokens as u64.
  uint64_t hash() const;

 private:
  std::span<const uint32_t> mapped_;
  std::vector<uint64_t> starts_;
};

}  // namespace tandem
