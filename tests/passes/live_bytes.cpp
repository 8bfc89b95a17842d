#include "core/passes/live_bytes.h"

#include <doctest/doctest.h>

#include <random>

using namespace tandem;

TEST_CASE("live bytes: the peak is the largest sum over positions, of all or of some") {
  std::mt19937 engine(1);
  const auto random = [&] { return uint32_t(engine()); };
  Storage storage;
  for (uint32_t r = 0; r < 200; ++r) {
    const uint32_t first = random() % 50, last = first + random() % 10;
    storage.roots.push_back({.value = r, .bytes = random() % 1000, .live = {Range(random() % 2), first, last}});
  }
  const auto bytes_of = [&](uint32_t r) { return r % 7 == 0 ? 0 : storage.roots[r].bytes; };
  const LiveBytes live(storage, bytes_of);
  const auto sum = [&](Range range, uint32_t at) {
    uint64_t bytes = 0;
    for (uint32_t r = 0; r < storage.roots.size(); ++r)
      if (const LiveRange& l = storage.roots[r].live; l.range == range && l.first <= at && at <= l.last)
        bytes += bytes_of(r);
    return bytes;
  };
  uint64_t most = 0, most_odd = 0;
  for (const Range range : {Range::begin, Range::micro_step})
    for (uint32_t at = 0; at < 60; ++at) {
      most = std::max(most, sum(range, at));
      if (range == Range::micro_step && at % 2 == 1) most_odd = std::max(most_odd, sum(range, at));
    }
  const LiveBytes::Peak peak = live.peak();
  CHECK(peak.bytes == most);
  CHECK(sum(peak.range, peak.at) == most);
  CHECK(live.peak(Range::micro_step, [](uint32_t at) { return at % 2 == 1; }).bytes == most_odd);
  CHECK(live.peak(Range::update, [](uint32_t) { return true; }).bytes == 0);
}
