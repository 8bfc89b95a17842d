// The ranges of a step's graph and Program, which are submitted as a whole, and when a step runs them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tandem {

enum class Range : uint8_t { begin, micro_step, update, evaluate };  // generation uses evaluate alone
constexpr std::string_view kRangeNames[] = {"begin", "micro_step", "update", "evaluate"};
constexpr size_t kRangeCount = std::size(kRangeNames);
constexpr std::string_view name_of(Range range) {
  return kRangeNames[size_t(range)];
}

// The micro-steps of a step, or of an evaluation, in which a node or an instruction runs; in other ranges all run each
// time.
enum class When : uint8_t { each, first, later, last };  // later: all but the first
constexpr std::string_view kWhenNames[] = {"each", "first", "later", "last"};
constexpr std::string_view name_of(When when) {
  return kWhenNames[size_t(when)];
}

// A submission of a range. first, last: whether it is the first or last one of a step, or first of an evaluation.
struct Turn {
  Range range = Range::begin;
  bool first = true, last = true;

  Turn(Range r, bool is_first = true, bool is_last = true) : range(r), first(is_first), last(is_last) {}
  bool runs(When when) const {
    return when == When::each || (when == When::first && first) || (when == When::later && !first) ||
           (when == When::last && last);
  }
  size_t index() const { return size_t(range) * 4 + (first ? 2 : 0) + (last ? 1 : 0); }
  bool operator==(const Turn&) const = default;
};
constexpr size_t kTurnCount = kRangeCount * 4;

}  // namespace tandem
