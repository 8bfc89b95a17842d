#include "core/data/scanner.h"
#include "core/base/utf8.h"

#include <fmt/format.h>

namespace tandem {

std::string Scanner::pattern(ScannerForm form) {
  const char* letters = form.marks ? R"([\p{L}\p{M}])" : R"(\p{L})";
  return fmt::format(
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?{}+|\p{{N}}{}| ?[^\s\p{{L}}{}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      letters, form.digits == 1 ? "" : fmt::format("{{1,{}}}", form.digits), form.marks ? R"(\p{M})" : "");
}

std::optional<Scanner> Scanner::of(std::string_view pattern) {
  for (const uint32_t digits : {1u, 3u})
    for (const bool marks : {false, true})
      if (const ScannerForm form{digits, marks}; pattern == Scanner::pattern(form)) return Scanner(form);
  return {};
}

Scanner::Scanner(ScannerForm form) : form_(form), unicode_(&Unicode::tables()) {
  for (uint32_t category = 0; category < 32; ++category) {
    const char kind = category < kCategories.size() ? kCategories[category][0] : 'C';
    const bool is_letter = kind == 'L' || (kind == 'M' && form.marks);
    others_[category] = is_letter ? letter : kind == 'N' ? number : other;
    others_[category | 32] = space;
  }
  for (char32_t c = 0; c < 128; ++c) ascii_[c] = others_[unicode_->category_and_space(c)];
  ascii_['\r'] = ascii_['\n'] = newline;
}

inline Scanner::Character Scanner::at(std::string_view text, size_t place) const {
  const auto byte = static_cast<unsigned char>(text[place]);
  if (byte < 128) return {ascii_[byte], 1};
  return {others_[unicode_->category_and_space(code_point(text.data() + place))], uint32_t(utf8_length(text[place]))};
}

// Where a run of characters of this kind ends.
inline size_t Scanner::skip(std::string_view text, size_t place, Class kind) const {
  while (place < text.size()) {
    const Character c = at(text, place);
    if (c.kind != kind) break;
    place += c.length;
  }
  return place;
}

// The length of a contraction behind an apostrophe at place; 0 where there is none. U+017F is an s without regard to
// case.
size_t Scanner::contraction(std::string_view text, size_t place) const {
  const auto small = [&](size_t i) { return place + i < text.size() ? char(text[place + i] | 0x20) : '\0'; };
  switch (small(1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return small(2) == 'e' ? 3 : 0;
    case 'l':
      return small(2) == 'l' ? 3 : 0;
    default:
      return text.substr(place + 1).starts_with("\u017F") ? 3 : 0;
  }
}

// A piece that begins with white space and takes neither a letter nor a mark: up to the last line end in the run; else
// all but the last character, which goes with what follows.
size_t Scanner::spaces(std::string_view text, size_t place) const {
  size_t end = place, last = place, line = place;
  while (end < text.size()) {
    const Character c = at(text, end);
    if (c.kind != space && c.kind != newline) break;
    last = end;
    end += c.length;
    if (c.kind == newline) line = end;
  }
  if (line > place) return line;
  return end == text.size() || last == place ? end : last;
}

inline size_t Scanner::piece(std::string_view text, size_t place) const {
  const Character first = at(text, place);
  const size_t behind = place + first.length;
  switch (first.kind) {
    case letter:
      return skip(text, behind, letter);
    case number: {
      size_t end = behind;
      for (uint32_t i = 1; i < form_.digits && end < text.size(); ++i) {
        const Character c = at(text, end);
        if (c.kind != number) break;
        end += c.length;
      }
      return end;
    }
    case newline:
      return spaces(text, place);
    case space:
    case other:
      break;
  }
  if (text[place] == '\'')
    if (const size_t length = contraction(text, place)) return place + length;
  const Class next = behind < text.size() ? at(text, behind).kind : newline;
  if (next == letter) return skip(text, behind, letter);
  if (first.kind == space && (text[place] != ' ' || next != other)) return spaces(text, place);
  size_t end = skip(text, behind, other);
  while (end < text.size() && (text[end] == '\r' || text[end] == '\n')) ++end;
  return end;
}

void Scanner::split(std::string_view text, size_t begin, size_t end, std::vector<size_t>& ends) const {
  text = text.substr(0, end);
  while (begin < end) ends.push_back(begin = piece(text, begin));
}

}  // namespace tandem
