#include "core/data/mixture.h"

#include <doctest/doctest.h>

#include <set>

#include "core/data/loader.h"
#include "core/data/permutation.h"
#include "tests/data/scratch.h"

namespace tandem {
namespace {

using Counts = std::vector<uint32_t>;

TEST_CASE("mixture: counts are the shares of 4096, by largest remainder, ties to the earlier") {
  const auto counts = [](const std::vector<double>& weights) { return mixture_counts(weights); };
  CHECK(counts({3, 1}) == Counts{3072, 1024});
  CHECK(counts({0.75, 0.25}) == Counts{3072, 1024});
  CHECK(counts({1, 1, 1}) == Counts{1366, 1365, 1365});
  CHECK(counts({7}) == Counts{4096});
  CHECK(counts({1, 10000}) == Counts{0, 4096});
  CHECK(counts({1e-30, 1e30})[0] == 0);
  CHECK(counts({2, 3, 7, 5}) == Counts{482, 723, 1686, 1205});  // 481.88, 722.82, 1686.59, 1204.71
}

// expected: a Python program written from mixture.h and permutation.h
TEST_CASE("mixture: the draws are the documented ones, for good") {
  const Counts counts = {3072, 1024};
  const std::vector<std::pair<uint64_t, Draw>> expected = {
      {0, {0, 1708}},    {1, {0, 1250}},    {2, {0, 532}},          {3, {1, 274}},
      {4, {0, 85}},      {5, {0, 2744}},    {4095, {1, 246}},       {4096, {0, 5260}},
      {4097, {0, 4522}}, {8191, {0, 3412}}, {1000000, {0, 751588}}, {123456789012, {1, 30864196750}}};
  for (const auto& [n, d] : expected) {
    const Draw drawn = draw(n, counts, 42);
    CHECK(drawn.source == d.source);
    CHECK(drawn.index == d.index);
  }
}

TEST_CASE("mixture: every block has each source's count, and a source's sequences come once each") {
  const Counts counts = mixture_counts(std::vector<double>{5, 2, 1});
  std::vector<std::set<uint64_t>> seen(3);
  for (uint64_t block = 0; block < 3; ++block) {
    Counts here(3);
    for (uint64_t i = 0; i < kMixtureBlock; ++i) {
      const Draw d = draw(block * kMixtureBlock + i, counts, 9);
      ++here[d.source];
      REQUIRE(seen[d.source].insert(d.index).second);
    }
    REQUIRE(here == counts);
  }
  for (size_t s = 0; s < 3; ++s) CHECK(*seen[s].rbegin() + 1 == seen[s].size());
}

// A source whose window w holds 100 * source + w.
Windows source(const ScratchDirectory& scratch, int32_t number, int32_t windows) {
  std::vector<int32_t> tokens;
  for (int32_t w = 0; w <= windows; ++w) tokens.push_back(100 * number + w);
  const std::string path = scratch.write(fmt::format("{}.bin", number), llmq_v2(tokens));
  return open_windows(open_token_files({path}, 1000), {.sequence_length = 1});
}

TEST_CASE("mixture: a loader gives the shares, and all windows of a source before any again") {
  const ScratchDirectory scratch;
  for (const bool shuffle : {false, true}) {
    const auto batch_of = [&](uint32_t micro_batch, uint32_t accumulation, uint64_t step) {
      const Loader loader(
          {source(scratch, 1, 7), source(scratch, 2, 5)},
          {.micro_batch = micro_batch, .accumulation = accumulation, .shuffle = shuffle, .seed = 3, .weights = {3, 1}});
      return loader.step(step).inputs;
    };
    const std::vector<int32_t> block = batch_of(4096, 1, 0);
    std::vector<std::vector<int32_t>> by_source(2);
    for (const int32_t token : block) by_source[size_t(token / 100 - 1)].push_back(token);
    CHECK(by_source[0].size() == 3072);
    CHECK(by_source[1].size() == 1024);
    for (size_t s = 0; s < 2; ++s) {
      // the slots of a block are permuted, so an epoch's windows stand in any order, each as often as any other
      std::multiset<int32_t> all(by_source[s].begin(), by_source[s].end());
      const size_t windows = s == 0 ? 7 : 5, whole = by_source[s].size() / windows;
      for (int32_t w = 0; w < int32_t(windows); ++w) {
        const size_t count = all.count(100 * (int32_t(s) + 1) + w);
        CHECK(count >= whole);
        CHECK(count <= whole + 1);
      }
    }
    const std::vector<int32_t> part = batch_of(16, 2, 5);
    CHECK(std::equal(part.begin(), part.end(), block.begin() + 5 * 32));
  }
}

}  // namespace
}  // namespace tandem
