// Tokens that are found in a text before it is split: the leftmost first, the longest of those.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tandem {

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool special = false;
  bool normalized = true;               // found in the normalized text; false: in the text as it is
  bool lstrip = false, rstrip = false;  // takes the white space before it, behind it
  bool single_word = false;             // not beside a word
};

class AddedTokens {
 public:
  // form: what the token is found as, its content or the normalized content
  void add(const AddedToken& token, std::string_view form);

  struct Found {
    size_t begin, end;  // with the white space that it takes
    const AddedToken* token;
  };
  // The tokens of a text in order. Special ones are counted, but left out unless takes_special.
  std::vector<Found> find(std::string_view text, bool takes_special, uint64_t& special) const;

  size_t longest() const { return longest_; }  // bytes of a form; 0: there are no tokens
  // True if a token, wherever it begins, goes over the boundary before place, or touches it.
  bool touches(std::string_view text, size_t place) const;

 private:
  uint32_t child(uint32_t node, char byte) const;
  uint32_t longest_at(std::string_view text, size_t place, size_t& end) const;
  bool may_begin(std::string_view text, size_t place) const;

  static constexpr uint32_t kNone = UINT32_MAX;

  std::vector<AddedToken> tokens_;
  std::vector<uint32_t> ends_ = {kNone};             // by node: the token that ends there
  std::unordered_map<uint64_t, uint32_t> children_;  // node << 8 | byte: node
  std::bitset<1 << 16> begins_;                      // first byte << 8 | second byte of a token
  size_t longest_ = 0;                               // bytes
};

}  // namespace tandem
