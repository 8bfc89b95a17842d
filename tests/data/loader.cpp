#include "core/data/loader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "core/data/permutation.h"
#include "core/data/prefetcher.h"
#include "tests/data/scratch.h"

namespace tandem {
namespace {

std::vector<int32_t> counting(int32_t first, int32_t count) {
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < count; ++i) tokens.push_back(first + i);
  return tokens;
}

// Files of 100, 101, .. and 200, 201, ..: with T = 4, two windows (the 10th token starts none) and three.
struct TwoFiles {
  ScratchDirectory scratch;
  TokenFiles files = open_token_files(
      {scratch.write("a.bin", llmq_v2(counting(100, 10))), scratch.write("b.bin", llmq_v2(counting(200, 13)))}, 300);
};

Loader loader_of(const TokenFiles& files, uint32_t T, const LoaderOptions& options) {
  return Loader(open_windows(files, {.sequence_length = T}), options);
}

// the first input of each sequence of a batch
std::vector<int32_t> firsts(const StepBatch& batch, size_t T) {
  std::vector<int32_t> out;
  for (size_t i = 0; i < batch.inputs.size(); i += T) out.push_back(batch.inputs[i]);
  return out;
}

TEST_CASE("loader: windows in the order of the files, epoch after epoch, nothing dropped") {
  const TwoFiles two;
  const Loader loader = loader_of(two.files, 4, {.micro_batch = 1, .accumulation = 3});
  CHECK(loader.sources()[0].count() == 5);
  const StepBatch first = loader.step(0);
  CHECK(first.inputs == std::vector<int32_t>{100, 101, 102, 103, 104, 105, 106, 107, 200, 201, 202, 203});
  CHECK(first.targets == std::vector<int32_t>{101, 102, 103, 104, 105, 106, 107, 108, 201, 202, 203, 204});
  CHECK(first.positions == std::vector<int32_t>{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3});
  CHECK(first.valid_targets == 12);
  CHECK(first.tokens == 12);
  CHECK(firsts(loader.step(1), 4) == std::vector<int32_t>{204, 208, 100});
  CHECK(firsts(loader.step(2), 4) == std::vector<int32_t>{104, 200, 204});
}

TEST_CASE("loader: the same sequences for any split of A*R*B") {
  const TwoFiles two;
  const Loader whole = loader_of(two.files, 4, {.micro_batch = 1, .accumulation = 8, .shuffle = true});
  for (uint64_t s = 0; s < 4; ++s) {
    const std::vector<int32_t> all = firsts(whole.step(s), 4);
    for (uint32_t r = 0; r < 2; ++r) {
      const Loader part =
          loader_of(two.files, 4, {.micro_batch = 2, .accumulation = 2, .rank = r, .ranks = 2, .shuffle = true});
      const StepBatch batch = part.step(s);
      CHECK(batch.valid_targets == 32);
      const size_t at = 2 * r;
      CHECK(firsts(batch, 4) == std::vector<int32_t>{all[at], all[at + 1], all[at + 4], all[at + 5]});
    }
  }
}

TEST_CASE("loader: a shuffled epoch has every window once, epochs and seeds differ") {
  const TwoFiles two;
  std::set<std::vector<int32_t>> orders;
  for (uint64_t seed : {1, 2}) {
    const Loader loader = loader_of(two.files, 4, {.micro_batch = 5, .shuffle = true, .seed = seed});
    for (uint64_t epoch = 0; epoch < 4; ++epoch) {
      std::vector<int32_t> order = firsts(loader.step(epoch), 4);
      orders.insert(order);
      std::sort(order.begin(), order.end());
      CHECK(order == std::vector<int32_t>{100, 104, 200, 204, 208});
    }
  }
  CHECK(orders.size() >= 7);  // 8 at most; 120 orders exist
}

// expected: a Python program written from the comment in loader.h
TEST_CASE("loader: the permutation is the documented one, for good") {
  const auto order = [](uint64_t count, uint64_t seed, uint64_t epoch) {
    std::vector<uint64_t> out;
    for (uint64_t i = 0; i < count; ++i) out.push_back(permuted_window(i, count, seed, epoch));
    return out;
  };
  using Order = std::vector<uint64_t>;
  CHECK(order(10, 1, 0) == Order{0, 4, 2, 9, 1, 6, 7, 5, 3, 8});
  CHECK(order(10, 1, 1) == Order{3, 9, 1, 4, 2, 8, 5, 6, 0, 7});
  CHECK(order(10, (uint64_t(1) << 40) + 5, 0) == Order{9, 2, 1, 3, 6, 7, 5, 4, 8, 0});
  CHECK(permuted_window(0, 1000000, 7, 3) == 397341);
  CHECK(permuted_window(999999, 1000000, 7, 3) == 962440);
  for (uint64_t count : {1, 2, 3, 4, 5, 16, 17, 1000}) {
    Order sorted = order(count, 3, 9);
    std::sort(sorted.begin(), sorted.end());
    for (uint64_t i = 0; i < count; ++i) REQUIRE(sorted[i] == i);
  }
}

TEST_CASE("loader: masked targets are -1 and are counted over all ranks") {
  const ScratchDirectory scratch;
  // valid: tokens 1, 3, 4, 8
  const TokenFiles files = open_token_files({scratch.write("a.bin", llmq_v2(counting(10, 9), 300, "\x1a\x01"))}, 300);
  const StepBatch rank0 = loader_of(files, 4, {.rank = 0, .ranks = 2}).step(0);
  const StepBatch rank1 = loader_of(files, 4, {.rank = 1, .ranks = 2}).step(0);
  CHECK(rank0.targets == std::vector<int32_t>{11, -1, 13, 14});
  CHECK(rank1.targets == std::vector<int32_t>{-1, -1, -1, 18});
  CHECK(rank0.valid_targets == 4);
  CHECK(rank1.valid_targets == 4);
}

TEST_CASE("loader: separate_documents restarts positions and invalidates the target after a document's end") {
  const ScratchDirectory scratch;
  const std::string path = scratch.write("a.bin", llmq_v2({7, 8, 256, 256, 9, 10, 11, 256, 12}));
  const Windows windows =
      open_windows(open_token_files({path}, 257),
                   {.sequence_length = 8, .separate_documents = true, .document_end = {.token = 256}});
  const StepBatch batch = Loader(windows, {}).step(0);
  CHECK(batch.inputs == std::vector<int32_t>{7, 8, 256, 256, 9, 10, 11, 256});
  CHECK(batch.targets == std::vector<int32_t>{8, 256, -1, -1, 10, 11, 256, -1});
  CHECK(batch.positions == std::vector<int32_t>{0, 1, 2, 0, 0, 1, 2, 3});
  CHECK(batch.valid_targets == 5);
  // the other rank reads the same only window, and counts it without filling
  CHECK(Loader(windows, {.ranks = 2}).step(0).valid_targets == 10);
}

TEST_CASE("evaluation: every window once in order, the rest of the last batch without targets") {
  const TwoFiles two;
  const Windows windows = open_windows(two.files, {.sequence_length = 4});
  CHECK(windows.count() == 5);
  CHECK(firsts(evaluation_batch(windows, 0, 4, {.micro_batch = 4}), 4) == std::vector<int32_t>{100, 104, 200, 204});
  const StepBatch last = evaluation_batch(windows, 4, 1, {.micro_batch = 3});
  CHECK(last.inputs.size() == 12);
  CHECK(last.valid_targets == 4);
  CHECK(std::vector<int32_t>(last.targets.begin(), last.targets.begin() + 4) == counting(209, 4));
  CHECK(std::vector<int32_t>(last.targets.begin() + 4, last.targets.end()) == std::vector<int32_t>(8, -1));
}

TEST_CASE("prefetcher: steps in order, and an early end") {
  const TwoFiles two;
  const Loader loader = loader_of(two.files, 4, {.micro_batch = 2, .shuffle = true});
  {
    Prefetcher ahead(loader, 3, 40);
    for (uint64_t s = 3; s < 40; ++s) CHECK(ahead.next().inputs == loader.step(s).inputs);
    CHECK_THROWS_AS(ahead.next(), Error);
  }
  for (int i = 0; i < 20; ++i) Prefetcher ahead(loader, 0, 1000000);
  Prefetcher ahead(loader, 0, 1000000);
  ahead.next();
}

TEST_CASE("prefetcher: what goes wrong on its thread is thrown by next") {
  const TwoFiles two;
  const Loader loader = loader_of(two.files, 4, {.micro_batch = 0xffffffff, .accumulation = 0xffffffff});
  Prefetcher ahead(loader, 0, 1);
  CHECK_THROWS_AS(ahead.next(), std::length_error);
}

}  // namespace
}  // namespace tandem
