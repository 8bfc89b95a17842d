#include "core/base/toml.h"

#include <algorithm>

#include "core/base/error.h"

namespace tandem {
namespace {

// The end of the TOML string or comment that starts at text[at].
size_t end_of_quoted(std::string_view text, size_t at) {
  const char quote = text[at];
  if (quote == '#') return std::min(text.find('\n', at), text.size());
  const std::string close(text.substr(at, 3) == std::string(3, quote) ? 3 : 1, quote);
  for (at += close.size(); at < text.size(); ++at) {
    if (close.size() == 1 && text[at] == '\n') return at;
    if (quote == '"' && text[at] == '\\') ++at;
    else if (text.substr(at, close.size()) == close) break;
  }
  at = std::min(at + close.size(), text.size());
  for (int more = 0; close.size() == 3 && more < 2 && text.substr(at, 1) == close.substr(1, 1); ++more) ++at;
  return at;
}

// TOML has no character beyond ASCII outside strings and comments, and toml++ 3.3 runs into undefined behaviour on
// some. Returns the first one's line, or 0.
uint32_t stray_character_line(std::string_view text) {
  size_t at = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;  // a byte-order mark is fine
  while (at < text.size()) {
    const char c = text[at];
    if (static_cast<unsigned char>(c) >= 0x80)
      return uint32_t(1 + std::count(text.begin(), text.begin() + ptrdiff_t(at), '\n'));
    at = c == '"' || c == '\'' || c == '#' ? end_of_quoted(text, at) : at + 1;
  }
  return 0;
}

}  // namespace

toml::table parse_toml(std::string_view text, const std::string& path) {
  if (const uint32_t line = stray_character_line(text); line != 0)
    fail(Exit::configuration, fmt::format("{}:{}", path, line),
         "is not TOML: a character outside ASCII wants quotes around it");
  try {
    return toml::parse(text, path);
  } catch (const toml::parse_error& e) {
    fail(Exit::configuration, fmt::format("{}:{}", path, e.source().begin.line), "is not TOML: {}", e.description());
  }
}

std::string toml_place(const toml::node& node, const std::string& path) {
  return fmt::format("{}:{}", path, node.source().begin.line);
}

}  // namespace tandem
