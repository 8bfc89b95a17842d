#include "core/base/pipeline.h"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>

namespace tandem {
namespace {

std::vector<int> run(unsigned threads, int items, const std::function<int(int)>& work) {
  int given = 0;
  std::vector<int> results;
  ordered_pipeline<int, int>(
      threads, [&] { return given < items ? std::optional(given++) : std::nullopt; }, work,
      [&](int result) { results.push_back(result); });
  return results;
}

TEST_CASE("pipeline: results come in the items' order, for any number of threads") {
  std::vector<int> expected;
  for (int i = 0; i < 500; ++i) expected.push_back(3 * i);
  for (const unsigned threads : {1u, 2u, 7u})
    CHECK(run(threads, 500, [](int i) {
            if (i % 5 == 0) std::this_thread::yield();
            return 3 * i;
          }) == expected);
  CHECK(run(4, 0, [](int i) { return i; }).empty());
}

TEST_CASE("pipeline: no more items are in memory than twice the threads") {
  int given = 0, taken = 0, most = 0;
  ordered_pipeline<int, int>(
      3,
      [&] {
        most = std::max(most, given + 1 - taken);
        return given < 100 ? std::optional(given++) : std::nullopt;
      },
      [](int i) { return i; }, [&](int) { ++taken; });
  CHECK(taken == 100);
  CHECK(most <= 6);
}

TEST_CASE("pipeline: what work throws comes in its place, and the threads end") {
  for (const unsigned threads : {1u, 4u}) {
    std::vector<int> results;
    int given = 0;
    const auto all = [&] {
      ordered_pipeline<int, int>(
          threads, [&] { return std::optional(given++); },
          [](int i) {
            if (i >= 10) throw std::runtime_error(std::to_string(i));
            return i;
          },
          [&](int i) { results.push_back(i); });
    };
    CHECK_THROWS_WITH(all(), "10");
    CHECK(results == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  }
}

}  // namespace
}  // namespace tandem
