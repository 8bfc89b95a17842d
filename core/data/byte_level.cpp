#include "core/data/byte_level.h"
#include "core/base/utf8.h"

#include <array>

namespace tandem {
namespace {

constexpr size_t kCharacters = 0x144;  // all are below

struct Alphabet {
  std::array<char32_t, 256> characters;
  std::array<int16_t, kCharacters> bytes;  // -1: none
};

constexpr Alphabet make_alphabet() {
  Alphabet a{};
  for (int16_t& byte : a.bytes) byte = -1;
  char32_t next = 0x100;
  for (uint32_t b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b != 0xad);
    a.characters[b] = printable ? b : next++;
    a.bytes[a.characters[b]] = int16_t(b);
  }
  return a;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

char32_t byte_character(uint8_t byte) {
  return kAlphabet.characters[byte];
}

std::optional<uint8_t> byte_of_character(char32_t c) {
  if (c >= kCharacters || kAlphabet.bytes[c] < 0) return {};
  return uint8_t(kAlphabet.bytes[c]);
}

std::string to_byte_level(std::string_view bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char byte : bytes) append_utf8(text, byte_character(uint8_t(byte)));
  return text;
}

std::optional<std::string> from_byte_level(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (size_t i = 0; i < text.size(); i += utf8_length(text[i])) {
    const auto byte = byte_of_character(code_point(text.data() + i));
    if (!byte) return {};
    bytes += char(*byte);
  }
  return bytes;
}

}  // namespace tandem
