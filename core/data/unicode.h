// Unicode as the Python package `tokenizers` has it, which is several versions at once: each property is the one of the
// place where that package uses it. tools/unicode_tables.py probes it and writes the tables.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tandem {

constexpr char32_t kCodePoints = 0x110000;

// Categories by their two letters, in the order of the tables.
constexpr auto kCategories = std::to_array<std::string_view>(
    {"Cn", "Cc", "Cf", "Co", "Ll", "Lm", "Lo", "Lt", "Lu", "Mc", "Me", "Mn", "Nd", "Nl", "No",
     "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Sc", "Sk", "Sm", "So", "Zl", "Zp", "Zs"});

// What a code point is, beside its category.
enum class Property : uint8_t {
  space,              // \s of a pattern
  word,               // \w of a pattern
  digit,              // \d of a pattern
  numeric,            // what Digits takes apart
  punctuation,        // what Punctuation takes apart
  white,              // what an added token strips
  word_beside_token,  // what a single_word token may not touch
  changes,            // NFC may change a text that has it
};

// All that is known of each code point: 5 bits of category, then a bit per property.
class Unicode {
 public:
  static const Unicode& tables();

  uint32_t category(char32_t c) const { return words_[c] & 31; }
  uint32_t category_and_space(char32_t c) const { return words_[c] & 63; }  // bit 5: Property::space
  bool is(Property property, char32_t c) const { return words_[c] >> (5 + uint32_t(property)) & 1; }

 private:
  Unicode();
  void add(Property property, const uint32_t* numbers, size_t count);

  std::vector<uint16_t> words_;  // (code points)
};

// A mask of the categories that a name such as L or Lu means; none if there is no such name.
std::optional<uint32_t> category_mask(std::string_view name);

// What a small letter of ASCII matches without regard to case, beside its two cases.
std::vector<char32_t> folds_of(char32_t letter);

// The length of the longest start of text that NFC leaves as it is, whatever follows; 0 where it begins otherwise.
size_t nfc_unchanged(std::string_view text);

// The length of the shortest start of text, which is not empty, whose form NFC depends on nothing behind it.
size_t nfc_segment(std::string_view text);

// The form NFC of such a segment.
std::string nfc(std::string_view segment);

}  // namespace tandem
