#include "core/data/pattern.h"

#include <doctest/doctest.h>

#include "core/data/pretokenize.h"
#include "core/data/scanner.h"
#include "tests/data/scratch.h"

namespace tandem {
namespace {

using Ends = std::vector<size_t>;

const std::string kMixed =
    "Hello, WORLD's 123 \u00e9t\u00e9\r\n\n  x  \u4f60\u597d!? aaa ab abab 'S '\u017f 'T K \u212a  ";
const std::string kLetters = "aaaabbbab ab aab";

Ends pieces(const PieceStep& step, std::string_view text) {
  Ends ends;
  split_pieces({step}, text, ends);
  return ends;
}

struct Case {
  const char* pattern;
  Ends mixed, letters;  // where the pieces of the two texts end
};

// What Split with this pattern makes of the texts in the Python package tokenizers 0.23.3.
const Case kCases[] = {
    {R"(\p{L}+|\p{N}{1,3})",
     {5,  7,  12, 13, 14, 15, 18, 19, 24, 29, 30, 32, 38, 41, 44,
      45, 47, 48, 52, 54, 55, 57, 59, 61, 62, 63, 64, 65, 68, 70},
     {9, 10, 12, 13, 16}},
    {R"([^\s\p{L}\p{N}]+)", {5, 6, 12, 13, 38, 40, 53, 54, 56, 57, 60, 61, 70}, {16}},
    {R"(\s+(?!\S)|\s+)",
     {6,  7,  14, 15, 18, 19, 24, 28, 29, 30, 31, 32, 40, 41, 44,
      45, 47, 48, 52, 53, 55, 56, 59, 60, 62, 63, 64, 65, 68, 70},
     {9, 10, 12, 13, 16}},
    {R"((?i:'s|'t|k))", {12, 14, 53, 55, 56, 59, 60, 62, 63, 64, 65, 68, 70}, {16}},
    {R"(a*?b)", {45, 47, 48, 50, 52, 70}, {5, 6, 7, 9, 10, 12, 13, 16}},
    {R"(a+?)", {41, 42, 43, 44, 45, 46, 48, 49, 50, 51, 70}, {1, 2, 3, 4, 7, 8, 10, 11, 13, 14, 15, 16}},
    {R"(a{2})", {41, 43, 70}, {2, 4, 13, 15, 16}},
    {R"(a{2,})", {41, 44, 70}, {4, 13, 15, 16}},
    {R"(a{1,2}?)", {41, 42, 43, 44, 45, 46, 48, 49, 50, 51, 70}, {1, 2, 3, 4, 7, 8, 10, 11, 13, 14, 15, 16}},
    {R"(a*+b)", {45, 47, 48, 50, 52, 70}, {5, 6, 7, 9, 10, 12, 13, 16}},
    {R"(a++a)", {70}, {16}},
    {R"((?:ab)+)", {45, 47, 48, 52, 70}, {3, 5, 7, 9, 10, 12, 14, 16}},
    {R"((?:ab)++a)", {70}, {16}},
    {R"((?:a|ab)(?:c|b)?)", {41, 42, 43, 44, 45, 47, 48, 50, 52, 70}, {1, 2, 3, 5, 7, 9, 10, 12, 13, 14, 16}},
    {R"(a(?=b))", {45, 46, 48, 49, 50, 51, 70}, {3, 4, 7, 8, 10, 11, 14, 15, 16}},
    {R"(a(?!b))", {41, 42, 43, 44, 70}, {1, 2, 3, 13, 14, 16}},
    {R"([a-c&&[^b]]+)", {41, 44, 45, 46, 48, 49, 50, 51, 70}, {4, 7, 8, 10, 11, 13, 15, 16}},
    {R"([\p{L}&&[^a-z]])",
     {1, 7, 8, 9, 10, 11, 12, 19, 21, 22, 24, 32, 35, 38, 54, 55, 57, 59, 61, 62, 63, 64, 65, 68, 70},
     {16}},
    {R"([^\P{L}]+)",
     {5, 7, 12, 13, 14, 19, 24, 29, 30, 32, 38, 41, 44, 45, 47, 48, 52, 54, 55, 57, 59, 61, 62, 63, 64, 65, 68, 70},
     {9, 10, 12, 13, 16}},
    {R"(\p{^L}+)",
     {5, 7, 12, 13, 14, 19, 24, 29, 30, 32, 38, 41, 44, 45, 47, 48, 52, 54, 55, 57, 59, 61, 62, 63, 64, 65, 68, 70},
     {9, 10, 12, 13, 16}},
    {R"(x*)",
     {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22,
      24, 25, 26, 27, 28, 29, 30, 31, 32, 35, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48,
      49, 50, 51, 52, 53, 54, 55, 56, 57, 59, 60, 61, 62, 63, 64, 65, 68, 69, 70},
     {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
    {R"(\w+|\W)",
     {5,  6,  7,  12, 13, 14, 15, 18, 19, 24, 25, 26, 27, 28, 29, 30, 31, 32, 38, 39, 40,
      41, 44, 45, 47, 48, 52, 53, 54, 55, 56, 57, 59, 60, 61, 62, 63, 64, 65, 68, 69, 70},
     {9, 10, 12, 13, 16}},
    {R"(\d|\D+)", {15, 16, 17, 18, 70}, {16}},
    {R"([a-])", {41, 42, 43, 44, 45, 46, 48, 49, 50, 51, 70}, {1, 2, 3, 4, 7, 8, 10, 11, 13, 14, 15, 16}},
    {R"([\]\-\\a]+)", {41, 44, 45, 46, 48, 49, 50, 51, 70}, {4, 7, 8, 10, 11, 13, 15, 16}},
    {R"(\S+)",
     {6, 7, 14, 15, 18, 19, 24, 29, 30, 32, 40, 41, 44, 45, 47, 48, 52, 53, 55, 56, 59, 60, 62, 63, 64, 65, 68, 70},
     {9, 10, 12, 13, 16}},
    {R"((a|b)+?b)", {45, 47, 48, 50, 52, 70}, {5, 7, 9, 10, 12, 13, 16}},
    {R"([\p{Lu}\p{Lt}]?\p{Ll}+)", {5, 13, 14, 19, 24, 29, 30, 41, 44, 45, 47, 48, 52, 57, 59, 70}, {9, 10, 12, 13, 16}},
    {R"((?i:[st]))", {13, 14, 21, 22, 54, 55, 57, 59, 61, 62, 70}, {16}},
    {R"((?:a?){3}b)", {45, 47, 48, 50, 52, 70}, {1, 5, 6, 7, 9, 10, 12, 13, 16}},
    {R"(a(?:b|))", {41, 42, 43, 44, 45, 47, 48, 50, 52, 70}, {1, 2, 3, 5, 7, 9, 10, 12, 13, 14, 16}},
    {R"(\p{P}|\p{S}|\p{M}|\p{Z})",
     {5,  6,  7,  12, 13, 14, 15, 18, 19, 27, 28, 29, 30, 31, 32, 38, 39, 40, 41, 44,
      45, 47, 48, 52, 53, 54, 55, 56, 57, 59, 60, 61, 62, 63, 64, 65, 68, 69, 70},
     {9, 10, 12, 13, 16}},
    {R"(a|ab)", {41, 42, 43, 44, 45, 46, 48, 49, 50, 51, 70}, {1, 2, 3, 4, 7, 8, 10, 11, 13, 14, 15, 16}},
    {R"((?=a)\w\w)", {41, 43, 45, 47, 48, 50, 52, 70}, {2, 4, 7, 9, 10, 12, 13, 15, 16}},
    {R"((?!a)\w+)",
     {5, 7, 12, 13, 14, 15, 18, 19, 24, 29, 30, 32, 38, 46, 47, 49, 52, 54, 55, 57, 59, 61, 62, 63, 64, 65, 68, 70},
     {4, 9, 11, 12, 15, 16}},
};

TEST_CASE("pattern: pieces as the reference has them") {
  for (const Case& c : kCases) {
    CAPTURE(c.pattern);
    const Pattern pattern(c.pattern, "test");
    CHECK(pieces(pattern, kMixed) == c.mixed);
    CHECK(pieces(pattern, kLetters) == c.letters);
  }
}

TEST_CASE("pattern: what is not read is refused, with its place") {
  const std::pair<const char*, const char*> cases[] = {
      {"ab.", "a . at byte 2"},
      {"^a", "a ^ at byte 0"},
      {"a$", "a $ at byte 1"},
      {"(?<=a)b", "a group that is none of (?:, (?i:, (?= and (?! at byte 0"},
      {"(?>a)", "a group"},
      {"(a", "a ( without its )"},
      {"a)", "a ) without its ("},
      {"[a", "a [ without its ]"},
      {"[]a]", "a ] that begins a class"},
      {"[[:alpha:]]", "a [: in a class"},
      {"[b-a]", "a range that ends before it begins"},
      {"*a", "a repeat of nothing"},
      {"a**", "a repeat of a repeat"},
      {"a{2}{3}", "a repeat of a repeat"},
      {"a{2}?", "a ? behind a count"},
      {"a{2,3}+", "a + behind a count"},
      {"a{,2}", "a { that begins no count"},
      {"a{3,2}", "a { that begins no count"},
      {"a{100001}", "a { that begins no count"},
      {"(?=a)*", "a repeat of a look-ahead"},
      {"(?:a?)*", "repeats a group that may match nothing"},
      {"(?:(?:(?:(?:ab){999}){999}){999}){999}", "too large"},
      {"\\b", "an escape"},
      {"\\x41", "an escape"},
      {"\\", "an escape"},
      {"\\p{Han}", "a \\p without"},
      {"\\pL", "a \\p without"},
      {"\\p{L", "a \\p without"},
      {"(?i:ss)", "a sequence that is one letter too"},
      {"(?i:\u00e9)", "above U+007F"},
      {"(?i:[a-z])", "a range in (?i: )"},
      {"(?i:[^a])", "a class with ^ in (?i: )"},
      {"(?i:\\p{L})", "in (?i: )"},
  };
  for (const auto& [pattern, message] : cases) {
    CAPTURE(pattern);
    const std::string said = thrown(Exit::configuration, [&, p = pattern] { Pattern(p, "t.json, key"); });
    CAPTURE(said);
    CHECK(said.starts_with("[t.json, key]"));
    CHECK(said.find(message) != said.npos);
  }
  std::string deep(200, '(');
  deep += 'a';
  deep.append(200, ')');
  CHECK(thrown(Exit::configuration, [&] { Pattern(deep, "t"); }).find("too many groups") != std::string::npos);
}

TEST_CASE("pattern: empty groups, counted in each other, take no time") {
  CHECK(pieces(Pattern("(?:(?:(?:){99999}){99999}){99999}a", "t"), "aba") == Ends{1, 2, 3});
  CHECK(pieces(Pattern("(?:(?:b{0}){0,99999}){99999}a", "t"), "aba") == Ends{1, 2, 3});
}

TEST_CASE("pattern: a match that takes too long is an error; a run of one class is one step") {
  const auto first = [](const char* pattern, const std::string& text) {
    uint64_t steps = 0;
    return Pattern(pattern, "t.json").search(text, 0, steps);
  };
  const std::string letters(100, 'a'), spaces(20'000'000, ' ');
  CHECK(thrown(Exit::input, [&] { first("(?:a|aa)+b", letters); }).find("10000000 steps") != std::string::npos);
  CHECK(first("\\s+(?!\\S)", spaces + "x")->end == spaces.size() - 1);
}

TEST_CASE("pattern: matches that together take too long are an error") {
  const std::string text(100'000, 'a');  // each a is a match, after each way to cut the next 20 in ones and twos
  CHECK(thrown(Exit::input, [&] { pieces(Pattern("(?:a|aa){20}b|a", "t"), text); }) != "");
}

// Strings that the classes and the order of alternatives tell apart.
TEST_CASE("scanner: the pieces of the matcher") {
  const std::vector<std::string> parts = {"'",      "s",      "S", "\u017f", "t",      "ll",     "LL",
                                          "re",     "Ve",     "x", "\u00e9", "\u0301", "\u4f60", "1",
                                          "\u00b2", "\u0663", " ", "\t",     "\n",     "\r",     "\u00a0",
                                          "\u2028", "\u0085", "!", "?",      "\u20ac", "\u180e", "\U0001f600"};
  uint64_t state = 1, compared = 0;
  const auto draw = [&](size_t count) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return size_t(state >> 33) % count;
  };
  for (const uint32_t digits : {1u, 3u}) {
    for (const bool marks : {false, true}) {
      const std::string text_of = Scanner::pattern({digits, marks});
      const auto scanner = Scanner::of(text_of);
      REQUIRE(scanner.has_value());
      const Pattern pattern(text_of, "test");
      for (uint32_t i = 0; i < 20'000; ++i) {
        std::string text;
        for (size_t n = 1 + draw(9); n > 0; --n) text += parts[draw(parts.size())];
        compared += pieces(*scanner, text) == pieces(pattern, text);
      }
    }
  }
  CHECK(compared == 80'000);
  CHECK_FALSE(Scanner::of(R"(\p{L}+)").has_value());
}

TEST_CASE("pieces: steps as the reference has them") {
  const auto all = [](const std::vector<PieceStep>& steps, std::string_view text) {
    Ends ends;
    split_pieces(steps, text, ends);
    return ends;
  };
  CHECK(all({}, "a b") == Ends{3});
  CHECK(all({}, "").empty());
  CHECK(all({StringSplit{"ab"}}, "xabab") == Ends{1, 3, 5});
  CHECK(all({CharacterSplit{Property::punctuation, true}}, "a,,b!c") == Ends{1, 2, 3, 4, 5, 6});
  CHECK(all({CharacterSplit{Property::punctuation, false}}, "a,,b!c") == Ends{1, 3, 4, 5, 6});
  CHECK(all({SplitBefore{"\u2581"}}, "\u2581Hello\u2581\u2581x") == Ends{8, 11, 15});
  CHECK(all({CharacterSplit{Property::numeric, false}, StringSplit{"2"}}, "a123b") == Ends{1, 2, 3, 4, 5});
  // behind ByteLevel a step sees a character per byte: the second one of this is U+00B2, which is a number
  CHECK(all({ByteLevelStep{}, CharacterSplit{Property::numeric, true}}, "\u00f2x") == Ends{1, 2, 3});
  CHECK(all({CharacterSplit{Property::numeric, true}, ByteLevelStep{}}, "\u00f2x") == Ends{3});
}

}  // namespace
}  // namespace tandem
