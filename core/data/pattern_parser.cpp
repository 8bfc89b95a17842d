#include <algorithm>

#include "core/base/error.h"
#include "core/base/utf8.h"
#include "core/data/pattern.h"

namespace tandem {
namespace {

constexpr uint32_t kDeepest = 100;       // groups and classes in each other
constexpr size_t kMostSets = 256;        // 136 KB each, at most
constexpr uint32_t kMostTimes = 100000;  // Oniguruma's limit for a count
constexpr std::string_view kQuantifiers = "?*+{";

bool is_letter(char32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

class Parser {
 public:
  Parser(std::string_view pattern, std::string_view where) : pattern_(pattern), where_(where) {}

  ParsedPattern parse() {
    ParsedPattern parsed;
    parsed.root = alternatives();
    if (!at_end()) refuse("a ) without its (");
    parsed.sets = std::move(sets_);
    return parsed;
  }

 private:
  using Node = PatternNode;
  using Kind = PatternNode::Kind;

  bool at_end() const { return at_ == pattern_.size(); }
  bool starts(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  bool take(std::string_view text) {
    if (!starts(text)) return false;
    at_ += text.size();
    return true;
  }
  char32_t take_character() {
    const char32_t c = code_point(pattern_.data() + at_);
    at_ += utf8_length(pattern_[at_]);
    return c;
  }
  [[noreturn]] void refuse(std::string_view what) const {
    fail(Exit::configuration, where_, "the pattern {:.200} has {} at byte {}, which is not read", pattern_, what, at_);
  }

  void enter() {
    if (++depth_ > kDeepest) refuse("too many groups in each other");
  }

  Node alternatives() {
    enter();
    Node node{.kind = Kind::alternatives};
    do {
      last_folded_ = 0;
      node.children.push_back(sequence());
    } while (take("|"));
    --depth_;
    return node.children.size() == 1 ? std::move(node.children[0]) : node;
  }

  Node sequence() {
    Node node;
    while (!at_end() && !starts("|") && !starts(")")) node.children.push_back(repeat(atom()));
    return node;
  }

  Node repeat(Node child) {
    if (at_end() || kQuantifiers.find(pattern_[at_]) == kQuantifiers.npos) return child;
    if (child.kind == Kind::ahead || child.kind == Kind::not_ahead) refuse("a repeat of a look-ahead");
    last_folded_ = 0;
    Node node{.kind = Kind::repeat, .least = 0, .most = kUnlimited};
    bool count = false, range = false;
    if (take("?")) node.most = 1;
    else if (take("+")) node.least = 1;
    else if (!take("*")) {
      count = true;
      range = times(node);
    }
    // behind a count Oniguruma takes + for a repeat of the repeat, and behind one without a comma ? too
    if (starts("?") && count && !range) refuse("a ? behind a count");
    if (starts("+") && count) refuse("a + behind a count");
    if (take("?")) node.greed = Greed::lazy;
    else if (take("+")) node.greed = Greed::possessive;
    if (!at_end() && kQuantifiers.find(pattern_[at_]) != kQuantifiers.npos) refuse("a repeat of a repeat");
    node.children.push_back(std::move(child));
    return node;
  }

  // {m}, {m,} and {m,n}; true if there is a comma
  bool times(Node& node) {
    const size_t begin = at_;
    ++at_;
    node.least = node.most = number(begin);
    const bool range = take(",");
    if (range) node.most = starts("}") ? kUnlimited : number(begin);
    if (!take("}") || node.most < node.least) {
      at_ = begin;
      refuse("a { that begins no count {m}, {m,} or {m,n}");
    }
    return range;
  }

  uint32_t number(size_t begin) {
    uint32_t value = 0;
    const size_t first = at_;
    while (!at_end() && pattern_[at_] >= '0' && pattern_[at_] <= '9' && value <= kMostTimes)
      value = 10 * value + uint32_t(pattern_[at_++] - '0');
    if (at_ == first || value > kMostTimes) {
      at_ = begin;
      refuse("a { that begins no count up to 100000");
    }
    return value;
  }

  Node atom() {
    const size_t begin = at_;
    if (take("(")) return group(begin);
    if (take("[")) {
      last_folded_ = 0;
      return set(char_class(begin));
    }
    if (starts("\\")) {
      last_folded_ = 0;
      return set(escape());
    }
    if (const char c = pattern_[at_]; c == '.' || c == '^' || c == '$') refuse(fmt::format("a {}", c));
    if (kQuantifiers.find(pattern_[at_]) != kQuantifiers.npos) refuse("a repeat of nothing");
    const char32_t c = take_character();
    return set(fold_ ? folded(c) : one(c));
  }

  Node group(size_t begin) {
    const bool fold = fold_;
    Node node;
    if (take("?=")) node.kind = Kind::ahead;
    else if (take("?!")) node.kind = Kind::not_ahead;
    else if (take("?i:")) fold_ = true;
    else if (!take("?:") && starts("?")) {
      at_ = begin;
      refuse("a group that is none of (?:, (?i:, (?= and (?!");
    }
    Node inside = alternatives();
    if (!take(")")) {
      at_ = begin;
      refuse("a ( without its )");
    }
    fold_ = fold;
    if (node.kind == Kind::sequence) return inside;
    node.children.push_back(std::move(inside));
    return node;
  }

  static CodeSet one(char32_t c) {
    CodeSet set;
    set.add(c, c);
    return set;
  }

  // What a character matches without regard to case. Oniguruma also takes ß for ss and the like: refused.
  CodeSet folded(char32_t c) {
    if (c >= 128) refuse("a character above U+007F in (?i: )");
    const char32_t small = c | 0x20;
    if (!is_letter(c)) {
      last_folded_ = 0;
      return one(c);
    }
    for (const std::string_view pair : {"ss", "ff", "fi", "fl", "st"})
      if (last_folded_ == char32_t(pair[0]) && small == char32_t(pair[1]))
        refuse("a sequence that is one letter too in (?i: )");
    last_folded_ = small;
    return fold_letter(c);
  }

  static CodeSet fold_letter(char32_t c) {
    CodeSet set;
    set.add(c | 0x20, c | 0x20);
    set.add(c & ~char32_t(0x20), c & ~char32_t(0x20));
    for (const char32_t other : folds_of(c | 0x20)) set.add(other, other);
    return set;
  }

  Node set(CodeSet value) {
    const auto at = std::find(sets_.begin(), sets_.end(), value);
    if (at == sets_.end() && sets_.size() == kMostSets) refuse("too many classes");
    Node node{.kind = Kind::set, .set = uint32_t(at - sets_.begin())};
    if (at == sets_.end()) sets_.push_back(std::move(value));
    return node;
  }

  // behind a [ : operands of && are unions of characters, ranges, escapes and classes
  CodeSet char_class(size_t begin) {
    enter();
    const bool inverted = take("^");
    if (starts("]")) refuse("a ] that begins a class");
    CodeSet value = operand(begin);
    while (take("&&")) value.intersect(operand(begin));
    if (!take("]")) {
      at_ = begin;
      refuse("a [ without its ]");
    }
    if (inverted && fold_) refuse("a class with ^ in (?i: )");
    if (inverted) value.invert();
    --depth_;
    return value;
  }

  CodeSet operand(size_t begin) {
    CodeSet value;
    while (!at_end() && !starts("]") && !starts("&&")) {
      if (starts("[:")) refuse("a [: in a class");
      const size_t place = at_;
      if (take("[")) value.unite(char_class(place));
      else if (starts("\\") && !escaped_character()) value.unite(escape());
      else value.unite(range(begin));
    }
    return value;
  }

  CodeSet range(size_t begin) {
    const size_t place = at_;
    const char32_t first = class_character();
    if (fold_ && first >= 128) refuse("a character above U+007F in (?i: )");
    // a - at the end of a class is one
    if (!starts("-") || pattern_.substr(at_).starts_with("-]"))
      return fold_ && is_letter(first) ? fold_letter(first) : one(first);
    ++at_;
    if (at_end() || starts("[") || starts("&&") || (starts("\\") && !escaped_character())) {
      at_ = at_end() ? begin : place;
      refuse("a range without its end");
    }
    const char32_t last = class_character();
    if (last < first || fold_) {
      at_ = place;
      refuse(fold_ ? "a range in (?i: )" : "a range that ends before it begins");
    }
    CodeSet value;
    value.add(first, last);
    return value;
  }

  char32_t class_character() {
    if (const auto c = escaped_character()) {
      at_ += 2;
      return *c;
    }
    return take_character();
  }

  // The character that an escape means; none where it means a class, or there is no escape.
  std::optional<char32_t> escaped_character() const {
    if (!starts("\\") || at_ + 1 == pattern_.size()) return {};
    switch (const char c = pattern_[at_ + 1]; c) {
      case 'r':
        return '\r';
      case 'n':
        return '\n';
      case 't':
        return '\t';
      default: {
        const bool mark = c > ' ' && c < 127 && !is_letter(char32_t(c)) && !(c >= '0' && c <= '9') && c != '_';
        return mark ? std::optional(char32_t(c)) : std::nullopt;
      }
    }
  }

  CodeSet escape() {
    if (const auto c = escaped_character()) {
      at_ += 2;
      return one(*c);
    }
    const Unicode& unicode = Unicode::tables();
    const std::pair<char, Property> properties[] = {
        {'s', Property::space}, {'w', Property::word}, {'d', Property::digit}};
    const char c = at_ + 1 < pattern_.size() ? pattern_[at_ + 1] : 0;
    CodeSet value;
    for (const auto& [letter, property] : properties) {
      if ((c | 0x20) != letter) continue;
      at_ += 2;
      value.add_if([&unicode, p = property](char32_t code) { return unicode.is(p, code); });
      if (c != letter) value.invert();
      return value;
    }
    if (c != 'p' && c != 'P') refuse("an escape other than \\p{ } \\P{ } \\s \\S \\w \\W \\d \\D \\r \\n \\t");
    return category(c == 'P');
  }

  CodeSet category(bool inverted) {
    const size_t begin = at_, end = pattern_.find('}', at_);
    const bool braced = pattern_.substr(at_ + 2).starts_with("{") && end != pattern_.npos;
    std::string_view name = braced ? pattern_.substr(at_ + 3, end - at_ - 3) : "";
    if (name.starts_with("^")) {
      inverted = !inverted;
      name.remove_prefix(1);
    }
    const auto mask = category_mask(name);
    if (!mask) refuse("a \\p without the one or two letters of a category in braces");
    at_ = end + 1;
    const Unicode& unicode = Unicode::tables();
    CodeSet value;
    value.add_if([&](char32_t code) { return *mask >> unicode.category(code) & 1; });
    if (inverted) value.invert();
    if (fold_) {
      at_ = begin;
      refuse("a \\p in (?i: )");
    }
    return value;
  }

  std::string_view pattern_, where_;
  size_t at_ = 0;
  uint32_t depth_ = 0;
  bool fold_ = false;         // in (?i: )
  char32_t last_folded_ = 0;  // the letter before in a sequence in (?i: ), in lower case
  std::vector<CodeSet> sets_;
};

}  // namespace

ParsedPattern parse_pattern(std::string_view pattern, std::string_view where) {
  return Parser(pattern, where).parse();
}

}  // namespace tandem
