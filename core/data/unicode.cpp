#include "core/data/unicode.h"
#include "core/base/utf8.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

namespace tandem {
namespace {

#include "core/data/unicode_tables.inc"

// Hangul syllables, by arithmetic.
constexpr char32_t kSyllables = 0xac00, kSyllablesEnd = 0xd7a4;
constexpr char32_t kLeading = 0x1100, kVowels = 0x1161, kTrailing = 0x11a7;  // one before the first trailing
constexpr uint32_t kVowelCount = 21, kTrailingCount = 28, kLeadingCount = 19;

// Decompositions, compositions and the order of marks.
struct Normalization {
  std::unordered_map<char32_t, std::u32string> decompositions;
  std::unordered_map<uint64_t, char32_t> pairs;  // first << 32 | second: what NFC makes of them
  std::unordered_map<char32_t, uint32_t> ranks;  // marks that canonical order moves, from 1
  std::unordered_set<char32_t> seconds;          // the pairs', but for Hangul
  std::vector<char32_t> undone;                  // decomposed, and put together again

  Normalization();
  uint32_t rank(char32_t c) const {
    const auto at = ranks.find(c);
    return at == ranks.end() ? 0 : at->second;
  }
  std::optional<char32_t> compose(char32_t first, char32_t second) const;
  void decompose(char32_t c, std::u32string& out) const;
  bool begins_segment(char32_t c) const;
};

const Normalization& normalization() {
  static const Normalization tables;
  return tables;
}

Normalization::Normalization() {
  char32_t code = 0;
  for (const uint32_t number : kMarks) ranks[code += number >> 6] = number & 63;
  code = 0;
  for (size_t i = 0; i < std::size(kDecompositions);) {
    const uint32_t number = kDecompositions[i++], length = number >> 1 & 7;
    code += number >> 4;
    for (uint32_t j = 0; j < length; ++j) decompositions[code] += char32_t(kDecompositions[i++]);
    if (number & 1) undone.push_back(code);
  }
  // shorter ones first: the pair of a longer one is the composition of all but its last, and its last
  std::stable_sort(undone.begin(), undone.end(),
                   [&](char32_t a, char32_t b) { return decompositions[a].size() < decompositions[b].size(); });
  for (const char32_t c : undone) {
    const std::u32string& parts = decompositions[c];
    char32_t first = parts.front();
    for (size_t i = 1; i + 1 < parts.size(); ++i) first = *compose(first, parts[i]);
    pairs[uint64_t(first) << 32 | parts.back()] = c;
    seconds.insert(parts.back());
  }
}

std::optional<char32_t> Normalization::compose(char32_t first, char32_t second) const {
  if (first - kLeading < kLeadingCount && second - kVowels < kVowelCount)
    return kSyllables + ((first - kLeading) * kVowelCount + (second - kVowels)) * kTrailingCount;
  if (first >= kSyllables && first < kSyllablesEnd && (first - kSyllables) % kTrailingCount == 0 &&
      second > kTrailing && second < kTrailing + kTrailingCount)
    return first + (second - kTrailing);
  const auto at = pairs.find(uint64_t(first) << 32 | second);
  return at == pairs.end() ? std::nullopt : std::optional(at->second);
}

void Normalization::decompose(char32_t c, std::u32string& out) const {
  if (c >= kSyllables && c < kSyllablesEnd) {
    const uint32_t index = c - kSyllables, trailing = index % kTrailingCount;
    out += char32_t(kLeading + index / (kVowelCount * kTrailingCount));
    out += char32_t(kVowels + index / kTrailingCount % kVowelCount);
    if (trailing > 0) out += char32_t(kTrailing + trailing);
    return;
  }
  const auto at = decompositions.find(c);
  if (at == decompositions.end()) out += c;
  else out += at->second;
}

// True if neither order nor composition takes c to what stands before it.
bool Normalization::begins_segment(char32_t c) const {
  std::u32string parts;
  decompose(c, parts);
  const char32_t first = parts.front();
  return rank(first) == 0 && !seconds.contains(first) && first - kVowels >= kVowelCount &&
         first - kTrailing >= kTrailingCount;
}

// Marks between starters, each run by its rank.
void order_marks(std::u32string& text) {
  const Normalization& n = normalization();
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && n.rank(text[end]) > 0) ++end;
    std::stable_sort(text.begin() + ptrdiff_t(i), text.begin() + ptrdiff_t(end),
                     [&](char32_t a, char32_t b) { return n.rank(a) < n.rank(b); });
    i = end + 1;
  }
}

std::u32string composed(const std::u32string& text) {
  const Normalization& n = normalization();
  std::u32string out;
  size_t starter = std::u32string::npos;  // place in out
  uint32_t last = 0;                      // rank of what stands last behind the starter, 0: nothing does
  for (const char32_t c : text) {
    const uint32_t rank = n.rank(c);
    const bool blocked = starter == std::u32string::npos || (out.size() > starter + 1 && last >= rank);
    if (const auto whole = blocked ? std::nullopt : n.compose(out[starter], c)) {
      out[starter] = *whole;
      continue;
    }
    if (rank == 0) starter = out.size();
    last = rank;
    out += c;
  }
  return out;
}

bool is_ascii(const char* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return (word & 0x8080808080808080) == 0;
}

}  // namespace

std::optional<uint32_t> category_mask(std::string_view name) {
  uint32_t mask = 0;
  for (size_t i = 0; i < kCategories.size(); ++i)
    if (kCategories[i] == name || (name.size() == 1 && kCategories[i][0] == name[0])) mask |= 1u << i;
  return mask == 0 ? std::nullopt : std::optional(mask);
}

const Unicode& Unicode::tables() {
  static const Unicode tables;
  return tables;
}

Unicode::Unicode() : words_(kCodePoints) {
  size_t at = 0;
  for (const uint32_t run : kCategoryRuns) {
    std::fill_n(words_.begin() + ptrdiff_t(at), run >> 5, uint16_t(run & 31));
    at += run >> 5;
  }
  add(Property::space, kSpace, std::size(kSpace));
  add(Property::word, kWord, std::size(kWord));
  add(Property::digit, kDigit, std::size(kDigit));
  add(Property::numeric, kNumeric, std::size(kNumeric));
  add(Property::punctuation, kPunctuation, std::size(kPunctuation));
  add(Property::white, kWhite, std::size(kWhite));
  add(Property::word_beside_token, kWordBesideToken, std::size(kWordBesideToken));

  const uint16_t changes = uint16_t(1u << (5 + uint32_t(Property::changes)));
  const Normalization& n = normalization();
  for (const auto& [code, parts] : n.decompositions) words_[code] |= changes;
  for (const char32_t code : n.undone) words_[code] &= uint16_t(~changes);
  for (const auto& [code, rank] : n.ranks) words_[code] |= changes;
  for (const char32_t code : n.seconds) words_[code] |= changes;
  for (uint32_t i = 0; i < kVowelCount; ++i) words_[kVowels + i] |= changes;
  for (uint32_t i = 1; i < kTrailingCount; ++i) words_[kTrailing + i] |= changes;
}

// numbers: a mask of categories, then lengths of runs that follow it and that do not, in turn
void Unicode::add(Property property, const uint32_t* numbers, size_t count) {
  const uint16_t bit = uint16_t(1u << (5 + uint32_t(property)));
  size_t at = 0;
  for (size_t i = 1; i < count; ++i)
    for (const size_t end = at + numbers[i]; at < end; ++at)
      if ((numbers[0] >> (words_[at] & 31) & 1) != (i - 1) % 2) words_[at] |= bit;
}

std::vector<char32_t> folds_of(char32_t letter) {
  std::vector<char32_t> others;
  for (size_t i = 0; i < std::size(kFolds); i += 2)
    if (kFolds[i] == letter) others.push_back(kFolds[i + 1]);
  return others;
}

size_t nfc_unchanged(std::string_view text) {
  const Unicode& unicode = Unicode::tables();
  size_t at = 0, last = 0;  // where the last character begins
  while (at < text.size()) {
    if (at + sizeof(uint64_t) <= text.size() && is_ascii(text.data() + at)) {
      at += sizeof(uint64_t);
      last = at - 1;
      continue;
    }
    if (unicode.is(Property::changes, code_point(text.data() + at))) return last;
    last = at;
    at += utf8_length(text[at]);
  }
  return at;
}

size_t nfc_segment(std::string_view text) {
  const Unicode& unicode = Unicode::tables();
  size_t at = utf8_length(text[0]);
  for (; at < text.size(); at += utf8_length(text[at])) {
    const char32_t c = code_point(text.data() + at);
    if (!unicode.is(Property::changes, c) || normalization().begins_segment(c)) break;
  }
  return at;
}

std::string nfc(std::string_view segment) {
  std::u32string parts;
  for (size_t i = 0; i < segment.size(); i += utf8_length(segment[i]))
    normalization().decompose(code_point(segment.data() + i), parts);
  order_marks(parts);
  std::string out;
  for (const char32_t c : composed(parts)) append_utf8(out, c);
  return out;
}

}  // namespace tandem
