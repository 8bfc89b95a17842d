// The regular expressions of tokenizers: a backtracking matcher over code points, equal to Oniguruma in the part of its
// syntax that such patterns use. Alternatives, groups, (?i: ) of ASCII, classes with ranges, negation, nesting and &&,
// \p{ } \P{ } of categories, \s \S \w \W \d \D \r \n \t, ? * + {m} {m,} {m,n}, lazy and possessive ones, (?= (?!.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/data/code_set.h"

namespace tandem {

// How often, and in what order, a repeat tries.
enum class Greed : uint8_t { greedy, lazy, possessive };
constexpr uint32_t kUnlimited = UINT32_MAX;

// The parse of a pattern. A set has no children, a repeat and a look-ahead have one.
struct PatternNode {
  enum class Kind : uint8_t { set, sequence, alternatives, repeat, ahead, not_ahead };
  Kind kind = Kind::sequence;
  Greed greed = Greed::greedy;
  uint32_t set = 0;              // index
  uint32_t least = 1, most = 1;  // a repeat's
  std::vector<PatternNode> children;
};

struct ParsedPattern {
  PatternNode root;
  std::vector<CodeSet> sets;
};

// Exit::configuration: what is not read, naming where, the pattern and the place in it.
ParsedPattern parse_pattern(std::string_view pattern, std::string_view where);

class Pattern {
 public:
  Pattern(std::string_view pattern, std::string_view where);

  const std::string& text() const { return text_; }

  struct Match {
    size_t begin, end;
  };
  // The first match that begins at `from` or behind; it may be empty. text is valid UTF-8. steps counts those taken in
  // this text so far. Exit::input: over 10^7 of them, and 256 more per byte before the match.
  std::optional<Match> search(std::string_view text, size_t from, uint64_t& steps) const;

 private:
  struct Instruction {
    enum class Op : uint8_t { set, run, split, jump, ahead, not_ahead, atomic, accept };
    Op op = Op::accept;
    Greed greed = Greed::greedy;
    uint32_t set = 0;                // for set and run
    uint32_t least = 0, most = 0;    // for run
    uint32_t first = 0, second = 0;  // split: tried in this order; jump, ahead, not_ahead and atomic: first goes on
  };
  struct Choice;
  class Matcher;

  uint32_t emit(Instruction instruction);
  void compile(const PatternNode& node);
  void compile_repeat(const PatternNode& node);
  void make_starts(const PatternNode& root);

  std::string text_, where_;
  std::vector<CodeSet> sets_;
  std::vector<Instruction> program_;
  // By the first character: where the alternatives begin in the program that may match it; 128: others, 129: no
  // character.
  std::array<std::vector<uint32_t>, 130> starts_;
};

}  // namespace tandem
