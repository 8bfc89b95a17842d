#include "core/data/token_decoder.h"
#include "core/base/utf8.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "core/data/byte_level.h"

namespace tandem {
namespace {

using Tokens = std::vector<std::string>;

std::string joined(const Tokens& tokens, std::string_view between = "") {
  std::string text;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) text += between;
    text += tokens[i];
  }
  return text;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size()) text.replace(at, from.size(), to);
}

void apply(const ByteLevelDecoder&, Tokens& tokens) {
  std::string bytes;
  for (const std::string& token : tokens) bytes += from_byte_level(token).value_or(token);
  tokens = {valid_utf8(bytes)};
}

void apply(const FuseDecoder&, Tokens& tokens) {
  tokens = {joined(tokens)};
}

void apply(const ReplaceDecoder& step, Tokens& tokens) {
  for (std::string& token : tokens) replace_all(token, step.from, step.to);
}

// In the first token no replacement becomes a space, not only the one that was put there: so the reference has it.
void apply(const MetaspaceDecoder& step, Tokens& tokens) {
  for (size_t i = 0; i < tokens.size(); ++i)
    replace_all(tokens[i], step.replacement, i == 0 && step.prepends ? "" : " ");
}

void apply(const StripDecoder& step, Tokens& tokens) {
  for (std::string& token : tokens) {
    std::string_view text = token;
    for (uint32_t i = 0; i < step.start && text.starts_with(step.content); ++i) text.remove_prefix(step.content.size());
    for (uint32_t i = 0; i < step.stop && text.ends_with(step.content); ++i) text.remove_suffix(step.content.size());
    token = std::string(text);
  }
}

// The byte of <0xNN>, which may also be written <0x+N>: so the reference reads numbers.
std::optional<uint8_t> byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with(">")) return {};
  uint32_t value = 0;
  for (size_t i = token[3] == '+' ? 4 : 3; i < 5; ++i) {
    const char c = token[i], small = char(c | 0x20);
    if (c >= '0' && c <= '9') value = 16 * value + uint32_t(c - '0');
    else if (small >= 'a' && small <= 'f') value = 16 * value + uint32_t(small - 'a' + 10);
    else return {};
  }
  return uint8_t(value);
}

// A run of bytes that is not valid as a whole is U+FFFD, once for each of them.
void apply(const ByteFallbackDecoder&, Tokens& tokens) {
  Tokens out;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) return;
    if (is_utf8(bytes)) out.push_back(bytes);
    else out.insert(out.end(), bytes.size(), std::string(kReplacement));
    bytes.clear();
  };
  for (std::string& token : tokens) {
    if (const auto byte = byte_of(token)) {
      bytes += char(*byte);
      continue;
    }
    flush();
    out.push_back(std::move(token));
  }
  flush();
  tokens = std::move(out);
}

}  // namespace

std::string run_decoder(const std::optional<std::vector<DecoderStep>>& steps, std::vector<std::string> tokens) {
  if (!steps) return joined(tokens, " ");
  for (const DecoderStep& step : *steps) std::visit([&](const auto& s) { apply(s, tokens); }, step);
  return joined(tokens);
}

}  // namespace tandem
