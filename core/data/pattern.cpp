#include "core/data/pattern.h"
#include "core/base/utf8.h"

#include <algorithm>
#include <iterator>

#include "core/base/error.h"

namespace tandem {
namespace {

using Node = PatternNode;
using Kind = PatternNode::Kind;

constexpr uint64_t kMostSteps = 10'000'000, kStepsPerByte = 256;  // one match may take so many, as Oniguruma has it
constexpr size_t kLargestProgram = 1 << 16;                       // instructions
constexpr size_t kOthers = 128, kNothing = 129;                   // rows of starts_

// What a node may begin with: a bit per row of starts_, kNothing where it may match nothing.
struct Start {
  std::array<uint64_t, 2> ascii = {};
  bool others = false, empty = false;

  void unite(const Start& other) {
    for (size_t i = 0; i < 2; ++i) ascii[i] |= other.ascii[i];
    others |= other.others;
    empty |= other.empty;
  }
};

Start start_of(const Node& node, const std::vector<CodeSet>& sets) {
  Start start;
  switch (node.kind) {
    case Kind::set:
      return {sets[node.set].ascii(), sets[node.set].has_others(), false};
    case Kind::alternatives:
      for (const Node& child : node.children) start.unite(start_of(child, sets));
      return start;
    case Kind::repeat:
      if (node.most > 0) start = start_of(node.children[0], sets);
      start.empty |= node.least == 0;
      return start;
    case Kind::ahead:
    case Kind::not_ahead:
      return {.empty = true};
    case Kind::sequence:
      start.empty = true;
      for (const Node& child : node.children) {
        if (!start.empty) break;
        start.empty = false;
        start.unite(start_of(child, sets));
      }
      return start;
  }
  return start;
}

// True for an empty group, and for what repeats or holds such groups alone: none of them takes an instruction, so that
// no count of them would reach the limit.
bool matches_nothing_else(const Node& node) {
  if (node.kind == Kind::repeat) return node.most == 0 || matches_nothing_else(node.children[0]);
  return node.kind == Kind::sequence && std::ranges::all_of(node.children, matches_nothing_else);
}

}  // namespace

struct Pattern::Choice {
  enum class Kind : uint8_t { resume, shrink, grow };
  Kind kind;
  uint32_t instruction;  // resume: goes on there; shrink, grow: the run
  size_t at;             // place in the text
  size_t limit;          // shrink: the least place; grow: characters that may still be taken
};

class Pattern::Matcher {
 public:
  Matcher(const Pattern& pattern, std::string_view text, uint64_t& steps)
      : pattern_(pattern), text_(text), steps_(steps) {
    choices().clear();
  }

  // The end of the match of the instructions from here on.
  std::optional<size_t> run(uint32_t instruction, size_t at) {
    const size_t base = choices().size();
    const std::optional<size_t> end = search(instruction, at, base);
    choices().resize(base);
    return end;
  }

 private:
  using Op = Instruction::Op;

  static std::vector<Choice>& choices() {
    static thread_local std::vector<Choice> choices;
    return choices;
  }

  bool in(uint32_t set, size_t at) const {
    return at < text_.size() && pattern_.sets_[set].contains(code_point(text_.data() + at));
  }
  size_t next(size_t at) const { return at + utf8_length(text_[at]); }

  std::optional<size_t> search(uint32_t instruction, size_t at, size_t base) {
    while (true) {
      const Outcome outcome = step(instruction, at);
      if (outcome == Outcome::accepted) return at;
      if (outcome == Outcome::failed && !back(instruction, at, base)) return {};
    }
  }

  enum class Outcome : uint8_t { goes_on, failed, accepted };

  Outcome step(uint32_t& instruction, size_t& at) {
    if (++steps_ > kMostSteps + kStepsPerByte * at)
      fail(Exit::input, pattern_.where_, "a match in a text takes over {} steps; cut the text into shorter documents",
           kMostSteps);
    const Instruction& i = pattern_.program_[instruction];
    switch (i.op) {
      case Op::set:
        if (!in(i.set, at)) return Outcome::failed;
        at = next(at);
        ++instruction;
        return Outcome::goes_on;
      case Op::run:
        return run_of(i, instruction, at);
      case Op::split:
        choices().push_back({Choice::Kind::resume, i.second, at, 0});
        instruction = i.first;
        return Outcome::goes_on;
      case Op::jump:
        instruction = i.first;
        return Outcome::goes_on;
      case Op::ahead:
      case Op::not_ahead:
        if (run(instruction + 1, at).has_value() != (i.op == Op::ahead)) return Outcome::failed;
        instruction = i.first;
        return Outcome::goes_on;
      case Op::atomic: {
        const auto end = run(instruction + 1, at);
        if (!end) return Outcome::failed;
        at = *end;
        instruction = i.first;
        return Outcome::goes_on;
      }
      case Op::accept:
        return Outcome::accepted;
    }
    return Outcome::failed;
  }

  // least .. most characters of one set, on one choice at most
  Outcome run_of(const Instruction& i, uint32_t& instruction, size_t& at) {
    uint32_t count = 0;
    for (; count < i.least; ++count, at = next(at))
      if (!in(i.set, at)) return Outcome::failed;
    if (i.greed == Greed::lazy) {
      if (count < i.most) choices().push_back({Choice::Kind::grow, instruction, at, i.most - count});
    } else {
      const size_t least = at;
      for (; count < i.most && in(i.set, at); ++count) at = next(at);
      if (i.greed == Greed::greedy && at > least) choices().push_back({Choice::Kind::shrink, instruction, at, least});
    }
    ++instruction;
    return Outcome::goes_on;
  }

  // Takes the last choice; false if there is none above base.
  bool back(uint32_t& instruction, size_t& at, size_t base) {
    while (choices().size() > base) {
      Choice& choice = choices().back();
      switch (choice.kind) {
        case Choice::Kind::resume:
          instruction = choice.instruction;
          at = choice.at;
          choices().pop_back();
          return true;
        case Choice::Kind::shrink:
          do --choice.at;
          while ((text_[choice.at] & 0xc0) == 0x80);
          instruction = choice.instruction + 1;
          at = choice.at;
          if (choice.at == choice.limit) choices().pop_back();
          return true;
        case Choice::Kind::grow:
          if (!in(pattern_.program_[choice.instruction].set, choice.at)) {
            choices().pop_back();
            continue;
          }
          choice.at = next(choice.at);
          instruction = choice.instruction + 1;
          at = choice.at;
          if (--choice.limit == 0) choices().pop_back();
          return true;
      }
    }
    return false;
  }

  const Pattern& pattern_;
  std::string_view text_;
  uint64_t& steps_;
};

Pattern::Pattern(std::string_view pattern, std::string_view where) : text_(pattern), where_(where) {
  ParsedPattern parsed = parse_pattern(pattern, where);
  sets_ = std::move(parsed.sets);
  make_starts(parsed.root);
}

// Compiles the alternatives one by one, and lists each under the characters that it may begin with.
void Pattern::make_starts(const Node& root) {
  const auto add = [&](const Node& alternative) {
    const Start start = start_of(alternative, sets_);
    const uint32_t begin = uint32_t(program_.size());
    compile(alternative);
    emit({.op = Instruction::Op::accept});
    for (size_t c = 0; c < 128; ++c)
      if (start.empty || (start.ascii[c / 64] >> (c % 64) & 1)) starts_[c].push_back(begin);
    if (start.empty || start.others) starts_[kOthers].push_back(begin);
    if (start.empty) starts_[kNothing].push_back(begin);
  };
  if (root.kind != Kind::alternatives) return add(root);
  for (const Node& alternative : root.children) add(alternative);
}

uint32_t Pattern::emit(Instruction instruction) {
  if (program_.size() == kLargestProgram)
    fail(Exit::configuration, where_, "the pattern has counts that make it too large, which is not read");
  program_.push_back(instruction);
  return uint32_t(program_.size() - 1);
}

void Pattern::compile(const Node& node) {
  using Op = Instruction::Op;
  switch (node.kind) {
    case Kind::set:
      emit({.op = Op::set, .set = node.set});
      return;
    case Kind::sequence:
      for (const Node& child : node.children) compile(child);
      return;
    case Kind::ahead:
    case Kind::not_ahead: {
      const uint32_t look = emit({.op = node.kind == Kind::ahead ? Op::ahead : Op::not_ahead});
      compile(node.children[0]);
      emit({.op = Op::accept});
      program_[look].first = uint32_t(program_.size());
      return;
    }
    case Kind::alternatives: {
      std::vector<uint32_t> jumps;
      for (size_t i = 0; i < node.children.size(); ++i) {
        const bool last = i + 1 == node.children.size();
        const uint32_t split = last ? 0 : emit({.op = Op::split, .first = uint32_t(program_.size()) + 1});
        compile(node.children[i]);
        if (last) break;
        jumps.push_back(emit({.op = Op::jump}));
        program_[split].second = uint32_t(program_.size());
      }
      for (const uint32_t jump : jumps) program_[jump].first = uint32_t(program_.size());
      return;
    }
    case Kind::repeat:
      compile_repeat(node);
      return;
  }
}

void Pattern::compile_repeat(const Node& node) {
  using Op = Instruction::Op;
  const Node& child = node.children[0];
  if (child.kind == Kind::set) {
    emit({.op = Op::run, .greed = node.greed, .set = child.set, .least = node.least, .most = node.most});
    return;
  }
  if (node.most == kUnlimited && start_of(child, sets_).empty)
    fail(Exit::configuration, where_, "the pattern repeats a group that may match nothing, which is not read");
  if (matches_nothing_else(child)) return;
  const bool possessive = node.greed == Greed::possessive;
  const uint32_t atomic = possessive ? emit({.op = Op::atomic}) : 0;
  for (uint32_t i = 0; i < node.least; ++i) compile(child);
  const auto optional = [&] {  // a split that leaves to what is set later
    const uint32_t split = emit({.op = Op::split}), body = uint32_t(program_.size());
    (node.greed == Greed::lazy ? program_[split].second : program_[split].first) = body;
    return split;
  };
  std::vector<uint32_t> splits;
  if (node.most == kUnlimited) {
    splits.push_back(optional());
    compile(child);
    emit({.op = Op::jump, .first = splits[0]});
  } else {
    for (uint32_t i = node.least; i < node.most; ++i) {
      splits.push_back(optional());
      compile(child);
    }
  }
  const uint32_t end = uint32_t(program_.size());
  for (const uint32_t split : splits)
    (node.greed == Greed::lazy ? program_[split].first : program_[split].second) = end;
  if (!possessive) return;
  emit({.op = Op::accept});
  program_[atomic].first = uint32_t(program_.size());
}

std::optional<Pattern::Match> Pattern::search(std::string_view text, size_t from, uint64_t& steps) const {
  for (size_t at = from;; at += utf8_length(text[at])) {
    const size_t row = at == text.size() ? kNothing : std::min<size_t>(static_cast<unsigned char>(text[at]), kOthers);
    if (!starts_[row].empty()) {
      Matcher matcher(*this, text, steps);
      for (const uint32_t start : starts_[row])
        if (const auto end = matcher.run(start, at)) return Match{at, *end};
    }
    if (at == text.size()) return {};
  }
}

}  // namespace tandem
