#include "core/data/text_stream.h"

#include <algorithm>

#include "core/base/utf8.h"

namespace tandem {
namespace {

constexpr size_t kMostTokens = 64;  // decoded for each token that comes; fewer find a new context more often
constexpr size_t kContext = 4;      // tokens; with fewer one that decodes to nothing could be all of it

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
    : tokenizer_(tokenizer),
      tokens_(std::move(prompt)),
      context_(tokenizer.decode(tokens_)),
      most_(tokens_.size() + kMostTokens) {}

// Decoded together each time, for what a token stands for depends on those before it.
std::string TextStream::push(int32_t token) {
  tokens_.push_back(token);
  const std::string whole = tokenizer_.decode(tokens_), text = without(whole, context_);
  std::string_view certain = text;
  while (certain.ends_with(kReplacement)) certain.remove_suffix(kReplacement.size());
  if (!certain.starts_with(shown_)) return {};
  std::string added(certain.substr(shown_.size()));
  shown_ += added;
  if (tokens_.size() >= most_ && certain.size() == text.size()) forget(whole);
  return added;
}

// Keeps the fewest tokens that decode to the end of the text, which has been shown: they begin with a character.
void TextStream::forget(std::string_view text) {
  for (size_t kept = kContext; kept < tokens_.size(); ++kept) {
    const std::vector<int32_t> context(tokens_.end() - ptrdiff_t(kept), tokens_.end());
    const std::string context_text = tokenizer_.decode(context);
    if (context_text.empty() || !text.ends_with(context_text)) continue;
    tokens_ = context;
    context_ = context_text;
    shown_.clear();
    most_ = kept + kMostTokens;
    return;
  }
}

std::string TextStream::finish() {
  return without(without(tokenizer_.decode(tokens_), context_), shown_);
}

}  // namespace tandem
