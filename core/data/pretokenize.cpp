#include "core/data/pretokenize.h"
#include "core/base/utf8.h"

#include <span>

#include "core/data/byte_level.h"

namespace tandem {

const char* const kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

// A part of a text; steps append where its pieces end.
struct Part {
  std::string_view text;  // ends with the part
  size_t begin;
};
using Ends = std::vector<size_t>;

void close(const Part& part, Ends& ends, size_t first) {
  if (const size_t last = ends.size() == first ? part.begin : ends.back(); last < part.text.size())
    ends.push_back(part.text.size());
}

// Ends a piece at place, unless one ends or begins there already.
void cut(const Part& part, Ends& ends, size_t first, size_t place) {
  if (place > (ends.size() == first ? part.begin : ends.back())) ends.push_back(place);
}

void apply(const StringSplit& step, const Part& part, Ends& ends) {
  const size_t first = ends.size();
  for (size_t at = part.begin; (at = part.text.find(step.separator, at)) != part.text.npos;) {
    cut(part, ends, first, at);
    ends.push_back(at += step.separator.size());
  }
  close(part, ends, first);
}

void apply(const SplitBefore& step, const Part& part, Ends& ends) {
  const size_t first = ends.size();
  for (size_t at = part.begin; (at = part.text.find(step.separator, at)) != part.text.npos; at += step.separator.size())
    cut(part, ends, first, at);
  close(part, ends, first);
}

void apply(const CharacterSplit& step, const Part& part, Ends& ends) {
  const Unicode& unicode = Unicode::tables();
  const size_t first = ends.size();
  bool before = false;
  for (size_t at = part.begin; at < part.text.size(); at += utf8_length(part.text[at])) {
    const bool is = unicode.is(step.property, code_point(part.text.data() + at));
    if (is != before || (is && step.single)) cut(part, ends, first, at);
    before = is;
  }
  close(part, ends, first);
}

void apply(const Pattern& pattern, const Part& part, Ends& ends) {
  const size_t first = ends.size();
  uint64_t steps = 0;
  for (size_t at = part.begin; at <= part.text.size();) {
    const auto match = pattern.search(part.text, at, steps);
    if (!match) break;
    cut(part, ends, first, match->begin);
    cut(part, ends, first, match->end);
    at = match->end;
    if (match->begin == match->end) at += at < part.text.size() ? utf8_length(part.text[at]) : 1;
  }
  close(part, ends, first);
}

void apply(const Scanner& scanner, const Part& part, Ends& ends) {
  scanner.split(part.text, part.begin, part.text.size(), ends);
}

void apply(const ByteLevelStep&, const Part& part, Ends& ends) {
  ends.push_back(part.text.size());
}

void apply_all(std::span<const PieceStep> steps, const Part& part, Ends& ends);

// The steps behind ByteLevel see a character for each byte.
void apply_mapped(std::span<const PieceStep> steps, const Part& part, Ends& ends) {
  const std::string mapped = to_byte_level(part.text.substr(part.begin));
  Ends mapped_ends;
  apply_all(steps, {mapped, 0}, mapped_ends);
  size_t at = 0, byte = part.begin;
  for (const size_t end : mapped_ends) {
    for (; at < end; ++byte) at += utf8_length(mapped[at]);
    ends.push_back(byte);
  }
}

void apply_all(std::span<const PieceStep> steps, const Part& part, Ends& ends) {
  if (steps.empty()) return ends.push_back(part.text.size());
  const auto rest = steps.subspan(1);
  if (std::holds_alternative<ByteLevelStep>(steps[0]) && !rest.empty()) return apply_mapped(rest, part, ends);
  const auto split = [&](Ends& out) { std::visit([&](const auto& step) { apply(step, part, out); }, steps[0]); };
  if (rest.empty() || (rest.size() == 1 && std::holds_alternative<ByteLevelStep>(rest[0]))) return split(ends);
  Ends pieces;
  split(pieces);
  size_t begin = part.begin;
  for (const size_t end : pieces) {
    apply_all(rest, {part.text.substr(0, end), begin}, ends);
    begin = end;
  }
}

}  // namespace

void split_pieces(const std::vector<PieceStep>& steps, std::string_view text, std::vector<size_t>& ends) {
  if (!text.empty()) apply_all(steps, {text, 0}, ends);
}

}  // namespace tandem
