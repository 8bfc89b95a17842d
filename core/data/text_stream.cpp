#include "core/data/text_stream.h"

#include <algorithm>

#include "core/base/utf8.h"

namespace tandem {
namespace {

// The length of what two texts begin with, in whole characters.
size_t common_start(std::string_view a, std::string_view b) {
  const size_t most = std::min(a.size(), b.size());
  size_t same = size_t(std::mismatch(a.begin(), a.begin() + ptrdiff_t(most), b.begin()).first - a.begin());
  while (same > 0 && same < a.size() && (a[same] & 0xc0) == 0x80) --same;
  return same;
}

std::string without(const std::string& whole, std::string_view start) {
  return whole.substr(common_start(whole, start));
}

}  // namespace

std::string answer_text(const Tokenizer& tokenizer, std::vector<int32_t> prompt, std::span<const int32_t> answer) {
  const std::string start = tokenizer.decode(prompt);
  prompt.insert(prompt.end(), answer.begin(), answer.end());
  return without(tokenizer.decode(prompt), start);
}

TextStream::TextStream(const Tokenizer& tokenizer, std::vector<int32_t> prompt)
    : tokenizer_(tokenizer), tokens_(std::move(prompt)), prompt_text_(tokenizer.decode(tokens_)) {}

// Decoded as a whole each time, for what a token stands for depends on those before it.
std::string TextStream::answer() const {
  return without(tokenizer_.decode(tokens_), prompt_text_);
}

std::string TextStream::push(int32_t token) {
  tokens_.push_back(token);
  const std::string text = answer();
  std::string_view certain = text;
  while (certain.ends_with(kReplacement)) certain.remove_suffix(kReplacement.size());
  if (!certain.starts_with(shown_)) return {};
  std::string added(certain.substr(shown_.size()));
  shown_ += added;
  return added;
}

std::string TextStream::finish() {
  return without(answer(), shown_);
}

}  // namespace tandem
