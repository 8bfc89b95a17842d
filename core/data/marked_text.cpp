#include "core/data/marked_text.h"

#include <algorithm>

#include "core/base/utf8.h"

namespace tandem {
namespace {

constexpr size_t kMostRun = 1 << 16;  // tokens; a longer run would be in memory whole
constexpr size_t kContext = 16;       // tokens in front of a run that its text may hang on; a character has fewer

// What ids add to the text of the tokens in front of them.
std::string added_text(const Tokenizer& tokenizer, std::vector<int32_t> context, const std::vector<int32_t>& ids) {
  const std::string before = tokenizer.decode(context);
  context.insert(context.end(), ids.begin(), ids.end());
  const std::string after = tokenizer.decode(context);
  auto common = size_t(std::ranges::mismatch(before, after).in1 - before.begin());
  while (common > 0 && common < after.size() && (static_cast<unsigned char>(after[common]) & 0xc0) == 0x80) --common;
  return after.substr(common);
}

}  // namespace

uint64_t MarkedTokens::targets(const TokenFile& file) const {
  if (tokens == 0) return 0;
  return (is_target(file, first) ? 1 : 0) + file.valid_targets(first + 1, first + tokens);
}

void for_each_run(const TokenFile& file, const MarkedTokens& marked, const Tokenizer* tokenizer,
                  const std::function<void(const MarkedRun&)>& visit) {
  const uint64_t last = marked.first + marked.tokens;
  std::vector<int32_t> context;
  for (uint64_t i = marked.first; i < last;) {
    MarkedRun run{.ids = {}, .target = marked.is_target(file, i), .text = {}};
    for (; i < last && run.ids.size() < kMostRun && marked.is_target(file, i) == run.target; ++i)
      run.ids.push_back(file.token(i));
    if (tokenizer != nullptr) run.text = added_text(*tokenizer, context, run.ids);
    visit(run);
    context.insert(context.end(), run.ids.begin(), run.ids.end());
    context.erase(context.begin(), context.end() - std::ptrdiff_t(std::min(kContext, context.size())));
  }
}

std::string without_controls(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); at += utf8_length(text[at])) {
    const char32_t code = code_point(&text[at]);
    const bool control = (code < 0x20 && code != '\n' && code != '\t') || (code >= 0x7f && code < 0xa0);
    if (control) out += fmt::format("\\x{:02x}", uint32_t(code));
    else out += text.substr(at, utf8_length(text[at]));
  }
  return out;
}

}  // namespace tandem
