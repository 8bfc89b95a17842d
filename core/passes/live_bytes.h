// Bytes that are alive at each position of each range, of roots that are chosen.
#pragma once

#include <array>

#include "core/passes/storage.h"

namespace tandem {

class LiveBytes {
 public:
  struct Peak {
    Range range = Range::begin;
    uint32_t at = 0;  // a position at which most is alive
    uint64_t bytes = 0;
  };

  // bytes_of(r): of the root at r; 0 leaves it out.
  template <typename BytesOf>
  LiveBytes(const Storage& storage, const BytesOf& bytes_of) {
    for (uint32_t r = 0; r < storage.roots.size(); ++r)
      if (const uint64_t bytes = bytes_of(r); bytes > 0) add(storage.roots[r].live, int64_t(bytes));
  }

  // The most at positions of the range that hold(position) is true of.
  template <typename Holds>
  Peak peak(Range range, const Holds& holds) const {
    const std::vector<int64_t>& change = change_[size_t(range)];
    Peak peak{range};
    int64_t live = 0;
    for (uint32_t at = 0; at + 1 < change.size(); ++at)
      if ((live += change[at]) > int64_t(peak.bytes) && holds(at)) peak = {range, at, uint64_t(live)};
    return peak;
  }

  Peak peak() const {
    Peak most;
    for (size_t r = 0; r < kRangeCount; ++r)
      if (const Peak p = peak(Range(r), [](uint32_t) { return true; }); p.bytes > most.bytes) most = p;
    return most;
  }

 private:
  void add(const LiveRange& live, int64_t bytes) {
    std::vector<int64_t>& change = change_[size_t(live.range)];
    if (change.size() < live.last + 2) change.resize(live.last + 2);
    change[live.first] += bytes;
    change[live.last + 1] -= bytes;
  }

  std::array<std::vector<int64_t>, kRangeCount> change_;  // by range and position
};

}  // namespace tandem
