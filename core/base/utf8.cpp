#include "core/base/utf8.h"

namespace tandem {
namespace {

// The bytes of the longest start of text that a well-formed character could have, and whether it is whole.
struct Part {
  size_t length;
  bool whole;
};

Part first_part(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {1, true};
  if (lead < 0xc2 || lead > 0xf4) return {1, false};
  const size_t length = utf8_length(text[0]);
  // the second byte's range keeps out overlong forms, surrogates and what lies above U+10FFFF
  unsigned least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  unsigned most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  for (size_t i = 1; i < length; ++i) {
    if (i == text.size() || byte(i) < least || byte(i) > most) return {i, false};
    least = 0x80;
    most = 0xbf;
  }
  return {length, true};
}

}  // namespace

void append_utf8(std::string& text, char32_t code) {
  if (code < 0x80) {
    text += char(code);
  } else if (code < 0x800) {
    text += {char(0xc0 | code >> 6), char(0x80 | (code & 0x3f))};
  } else if (code < 0x10000) {
    text += {char(0xe0 | code >> 12), char(0x80 | (code >> 6 & 0x3f)), char(0x80 | (code & 0x3f))};
  } else {
    text += {char(0xf0 | code >> 18), char(0x80 | (code >> 12 & 0x3f)), char(0x80 | (code >> 6 & 0x3f)),
             char(0x80 | (code & 0x3f))};
  }
}

size_t valid_utf8_length(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const Part part = first_part(text.substr(at));
    if (!part.whole) break;
    at += part.length;
  }
  return at;
}

bool is_utf8(std::string_view text) {
  return valid_utf8_length(text) == text.size();
}

std::string valid_utf8(std::string_view text) {
  std::string out;
  while (true) {
    const size_t valid = valid_utf8_length(text);
    out += text.substr(0, valid);
    text.remove_prefix(valid);
    if (text.empty()) return out;
    out += kReplacement;
    text.remove_prefix(first_part(text).length);
  }
}

}  // namespace tandem
