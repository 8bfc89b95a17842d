// From a normalized text to the pieces that BPE encodes one by one.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/data/pattern.h"
#include "core/data/scanner.h"

namespace tandem {

// Steps, each of which splits the pieces of the one before.
struct StringSplit {
  std::string separator;  // each is a piece
};
struct SplitBefore {
  std::string separator;  // each begins a piece
};
struct CharacterSplit {
  Property property;  // numeric or punctuation
  bool single;        // each of them is a piece; false: each run of them
};
struct ByteLevelStep {};  // bytes turn into characters: what the steps behind it see
using PieceStep = std::variant<StringSplit, SplitBefore, CharacterSplit, Pattern, Scanner, ByteLevelStep>;

// The pattern of GPT-2, which ByteLevel with use_regex applies.
extern const char* const kGpt2Pattern;

// Appends where each piece of text ends, in its bytes.
void split_pieces(const std::vector<PieceStep>& steps, std::string_view text, std::vector<size_t>& ends);

}  // namespace tandem
