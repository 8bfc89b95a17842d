// The texts of a vocabulary's tokens, by id, and their ids.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tandem {

class TokenTable {
 public:
  // Room for this many tokens.
  explicit TokenTable(size_t tokens = 0);

  // False if the id or the text is there already.
  bool add(std::string_view text, int32_t id);
  std::optional<int32_t> find(std::string_view text) const;
  std::optional<std::string_view> text(int32_t id) const;
  size_t size() const { return size_; }                        // tokens
  uint32_t id_end() const { return uint32_t(texts_.size()); }  // every id is below

 private:
  struct Text {
    size_t begin = 0;
    uint32_t length = 0;
    bool there = false;
  };
  struct Slot {
    uint32_t hash = 0;  // the text's, which is looked at only where this agrees
    int32_t id = -1;    // -1: free
  };
  size_t slot_of(std::string_view text, uint32_t hash) const;
  void grow();

  std::string bytes_;
  std::vector<Text> texts_;  // by id
  std::vector<Slot> slots_;  // by the hash of the text
  size_t size_ = 0;
};

}  // namespace tandem
