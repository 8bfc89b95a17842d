// Byte-level BPE writes a byte as a printable character: itself where it is one in Latin-1, else the next from U+0100.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tandem {

char32_t byte_character(uint8_t byte);
std::optional<uint8_t> byte_of_character(char32_t c);

std::string to_byte_level(std::string_view bytes);
// None where a character stands for no byte.
std::optional<std::string> from_byte_level(std::string_view text);

}  // namespace tandem
