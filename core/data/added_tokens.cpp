#include "core/data/added_tokens.h"
#include "core/base/utf8.h"

#include <algorithm>

#include "core/data/unicode.h"

namespace tandem {
namespace {

bool is_at(Property property, std::string_view text, size_t place) {
  return Unicode::tables().is(property, code_point(text.data() + place));
}

// not beside a word on either side
bool stands_alone(std::string_view text, size_t begin, size_t end) {
  return (begin == 0 || !is_at(Property::word_beside_token, text, character_before(text, begin))) &&
         (end == text.size() || !is_at(Property::word_beside_token, text, end));
}

}  // namespace

void AddedTokens::add(const AddedToken& token, std::string_view form) {
  if (form.empty()) return;
  uint32_t node = 0;
  for (const char byte : form) {
    const auto [at, made] = children_.try_emplace(uint64_t(node) << 8 | uint8_t(byte), uint32_t(ends_.size()));
    if (made) ends_.push_back(kNone);
    node = at->second;
  }
  ends_[node] = uint32_t(tokens_.size());
  tokens_.push_back(token);
  const uint32_t first = uint32_t(uint8_t(form[0])) << 8;
  if (form.size() > 1) begins_.set(first | uint8_t(form[1]));
  else
    for (uint32_t second = 0; second < 256; ++second) begins_.set(first | second);
  longest_ = std::max(longest_, form.size());
}

uint32_t AddedTokens::child(uint32_t node, char byte) const {
  const auto at = children_.find(uint64_t(node) << 8 | uint8_t(byte));
  return at == children_.end() ? kNone : at->second;
}

// A token of one byte may also end the text.
bool AddedTokens::may_begin(std::string_view text, size_t place) const {
  const uint32_t first = uint32_t(uint8_t(text[place])) << 8;
  return place + 1 == text.size() || begins_[first | uint8_t(text[place + 1])];
}

// The longest token that begins at place, and where it ends; kNone where none does.
uint32_t AddedTokens::longest_at(std::string_view text, size_t place, size_t& end) const {
  uint32_t found = kNone;
  uint32_t node = 0;
  for (size_t at = place; at < text.size(); ++at) {
    node = child(node, text[at]);
    if (node == kNone) break;
    if (ends_[node] == kNone) continue;
    found = ends_[node];
    end = at + 1;
  }
  return found;
}

std::vector<AddedTokens::Found> AddedTokens::find(std::string_view text, bool takes_special, uint64_t& special) const {
  std::vector<Found> found;
  if (tokens_.empty()) return found;
  size_t last = 0;  // where the token before ends
  for (size_t at = 0; at < text.size();) {
    size_t end = 0;
    const uint32_t index = may_begin(text, at) ? longest_at(text, at, end) : kNone;
    if (index == kNone) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[index];
    size_t begin = at;
    at = end;
    if (token.special) ++special;
    if ((token.special && !takes_special) || (token.single_word && !stands_alone(text, begin, end))) continue;
    while (token.lstrip && begin > last && is_at(Property::white, text, character_before(text, begin)))
      begin = character_before(text, begin);
    while (token.rstrip && end < text.size() && is_at(Property::white, text, end)) end += utf8_length(text[end]);
    found.push_back({std::max(begin, last), end, &token});
    last = end;
  }
  return found;
}

bool AddedTokens::touches(std::string_view text, size_t place) const {
  if (tokens_.empty()) return false;
  for (size_t at = place - std::min(place, longest_); at < place || (at == place && at < text.size()); ++at) {
    if (!may_begin(text, at)) continue;
    uint32_t node = 0;
    for (size_t end = at; end < text.size(); ++end) {
      node = child(node, text[end]);
      if (node == kNone) break;
      if (ends_[node] != kNone && end + 1 >= place) return true;
    }
  }
  return false;
}

}  // namespace tandem
