// What ranks do together in a Program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace tandem {

// all_gather: every rank gets each rank's part, in rank order; all_to_all: rank r gets part r of each rank, in rank
// order; all_reduce_max: every rank gets the largest of each u32 word.
enum class CollectiveKind : uint8_t { all_gather, all_to_all, all_reduce_max };
constexpr std::string_view kCollectiveNames[] = {"all_gather", "all_to_all", "all_reduce_max"};
constexpr size_t kCollectiveCount = std::size(kCollectiveNames);
constexpr std::string_view name_of(CollectiveKind kind) {
  return kCollectiveNames[size_t(kind)];
}

}  // namespace tandem
