// Counts and forms that the Python package tokenizers 0.23.3 gives; the tables are all of it (tools/unicode_tables.py).
#include "core/data/unicode.h"

#include <doctest/doctest.h>

namespace tandem {
namespace {

// code points with a property, surrogates left out
template <typename Test>
uint32_t count(Test&& test) {
  uint32_t found = 0;
  for (char32_t c = 0; c < kCodePoints; ++c) found += (c < 0xd800 || c > 0xdfff) && test(c);
  return found;
}

TEST_CASE("unicode: as many of each kind as the reference has") {
  const Unicode& unicode = Unicode::tables();
  const auto category = [&](const char* name) {
    return count([&, mask = *category_mask(name)](char32_t c) { return mask >> unicode.category(c) & 1; });
  };
  CHECK(category("L") == 141028);
  CHECK(category("N") == 1911);
  CHECK(category("M") == 2501);
  CHECK(category("Lu") == 1858);
  CHECK(category("Cn") == 819533);
  CHECK_FALSE(category_mask("X").has_value());
  CHECK_FALSE(category_mask("Lx").has_value());
  CHECK_FALSE(category_mask("").has_value());
  const auto property = [&](Property p) { return count([&](char32_t c) { return unicode.is(p, c); }); };
  CHECK(property(Property::space) == 25);
  CHECK(property(Property::word) == 144671);
  CHECK(property(Property::digit) == 760);
  CHECK(property(Property::white) == 25);
}

TEST_CASE("unicode: properties differ by the place where they are used") {
  const Unicode& unicode = Unicode::tables();
  const auto outside = [&](Property property, const char* name, bool inside) {
    const uint32_t mask = *category_mask(name);
    return count([&](char32_t c) {
      return unicode.is(property, c) != inside && bool(mask >> unicode.category(c) & 1) == inside;
    });
  };
  CHECK(outside(Property::numeric, "N", false) == 13);
  CHECK(outside(Property::punctuation, "P", false) == 11);
  CHECK(outside(Property::punctuation, "P", true) == 140);
  CHECK(count([&](char32_t c) {
          return unicode.is(Property::word, c) != unicode.is(Property::word_beside_token, c);
        }) == 8);
  CHECK(folds_of('s') == std::vector<char32_t>{0x17f});
  CHECK(folds_of('k') == std::vector<char32_t>{0x212a});
  CHECK(folds_of('t').empty());
}

TEST_CASE("unicode: NFC as the reference has it") {
  const std::pair<std::string, std::string> cases[] = {
      {"e\u0301", "\u00e9"},
      {"e\u0301\u0327", "\u0229\u0301"},
      {"a\u0300\u0315\u0301", "\u00e0\u0301\u0315"},
      {"\u0344", "\u0308\u0301"},
      {"\u1100\u1161\u11a8", "\uac01"},
      {"\uac00\u11a8", "\uac01"},
      {"\u0b47\u0300\u0b3e", "\u0b47\u0300\u0b3e"},
      {"\u0915\u093c", "\u0915\u093c"},
      {"\u2126", "\u03a9"},
      {"abc", "abc"},
  };
  for (const auto& [text, form] : cases) CHECK(nfc(text) == form);
}

TEST_CASE("unicode: a text is cut into what NFC leaves and segments that stand alone") {
  const std::string text = "plain text, e\u0301x\u2126\u2126";
  CHECK(nfc_unchanged(text) == 12);  // the e waits for what follows
  CHECK(nfc_segment(std::string_view(text).substr(12)) == 3);
  CHECK(nfc_unchanged("\u2126") == 0);
  CHECK(nfc_segment("\u2126\u2126") == 3);  // neither goes with the other
  CHECK(nfc_unchanged("all of it, \u00e9 too") == 17);
}

}  // namespace
}  // namespace tandem
