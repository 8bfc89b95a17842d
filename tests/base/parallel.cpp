#include "core/base/parallel.h"

#include <doctest/doctest.h>

#include <mutex>
#include <stdexcept>
#include <vector>

namespace tandem {
namespace {

TEST_CASE("parallel_for: every element once, in parts that begin at multiples of the grain") {
  for (const uint64_t count : {0, 1, 7, 8, 9, 100, 1001})
    for (const uint64_t grain : {1, 8, 1000}) {
      std::vector<int> calls(count);
      std::mutex mutex;
      bool aligned = true;
      parallel_for(count, grain, [&](uint64_t first, uint64_t last) {
        const std::lock_guard lock(mutex);
        aligned = aligned && first % grain == 0 && first < last;
        for (uint64_t i = first; i < last; ++i) ++calls[i];
      });
      CHECK(aligned);
      CHECK(calls == std::vector<int>(count, 1));
    }
}

TEST_CASE("parallel_for: an exception of a part arrives") {
  for (const uint64_t wrong : {0, 99})
    CHECK_THROWS_AS(parallel_for(100, 1,
                                 [&](uint64_t first, uint64_t last) {
                                   if (first <= wrong && wrong < last) throw std::runtime_error("part");
                                 }),
                    std::runtime_error);
}

}  // namespace
}  // namespace tandem
