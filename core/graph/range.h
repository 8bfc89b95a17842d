// The ranges of a step's graph and Program: what is submitted as a whole.
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

}  // namespace tandem
