// UTF-8: code points in and out, and what takes the place of bytes that are none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tandem {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Bytes of the character that starts with this byte, in valid UTF-8.
constexpr size_t utf8_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

// The code point of a character whose bytes are there, in valid UTF-8.
constexpr char32_t code_point(const char* at) {
  const auto byte = [at](size_t i) { return char32_t(static_cast<unsigned char>(at[i])); };
  switch (utf8_length(*at)) {
    case 1:
      return byte(0);
    case 2:
      return (byte(0) & 0x1f) << 6 | (byte(1) & 0x3f);
    case 3:
      return (byte(0) & 0xf) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
    default:
      return (byte(0) & 7) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f);
  }
}

// Where the character begins that ends before place, which is above 0, in valid UTF-8.
constexpr size_t character_before(std::string_view text, size_t place) {
  do --place;
  while ((text[place] & 0xc0) == 0x80);
  return place;
}

void append_utf8(std::string& text, char32_t code);

// The length of the longest start of text that is valid.
size_t valid_utf8_length(std::string_view text);

bool is_utf8(std::string_view text);

// text with each maximal part that is no UTF-8 replaced by U+FFFD, as the Unicode standard recommends (section 3.9).
std::string valid_utf8(std::string_view text);

}  // namespace tandem
