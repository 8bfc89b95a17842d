// Collectives on the host's memory, against their definition element by element; several items, strides, in place.
#include "core/runtime/exchange.h"

#include <doctest/doctest.h>

#include "tests/support/rank_threads.h"
#include "tests/support/temporary.h"

namespace tandem {
namespace {

using test::run_ranks;
using Words = std::vector<uint32_t>;

// A World whose ranks cannot read each other's memory, as processes cannot.
class Apart : public World {
 public:
  explicit Apart(std::unique_ptr<World> world) : World(world->seat()), world_(std::move(world)) {}
  void fail(Exit exit, std::string_view text) noexcept override { world_->fail(exit, text); }
  void check() override { world_->check(); }

 protected:
  void meet(const Message& m, Bytes from, MutableBytes to) override {
    if (m.kind == MessageKind::all_gather) return world_->all_gather(from, to, m.label);
    REQUIRE(m.kind == MessageKind::all_to_all);
    world_->all_to_all(from, to, m.label);
  }

 private:
  std::unique_ptr<World> world_;
};

std::vector<std::unique_ptr<World>> worlds(uint32_t ranks, bool apart) {
  auto made = local_worlds(ranks);
  if (apart)
    for (auto& world : made) world = std::make_unique<Apart>(std::move(world));
  return made;
}

Bytes part(const Words& words, size_t first, size_t count) {
  return std::as_bytes(std::span(words).subspan(first, count));
}
MutableBytes all_of(Words& words) {
  return std::as_writable_bytes(std::span(words));
}

// Word i of what `from` has for `to`.
uint32_t word(uint32_t from, uint32_t to, uint32_t i) {
  return 1000 * from + 100 * to + i;
}

void check_gather(World& world, bool in_place) {
  const auto [rank, ranks, a, b, c, d] = world.seat();
  Words mine(5), all(5 * ranks, 77), other(3, rank), others(3 * ranks);
  for (uint32_t i = 0; i < 5; ++i) (in_place ? all[5 * rank + i] : mine[i]) = word(rank, 0, i);
  const ExchangeItem items[] = {{.from = in_place ? part(all, 5 * rank, 5) : part(mine, 0, 5), .to = all_of(all)},
                                {.from = part(other, 0, 3), .to = all_of(others)}};
  exchange(world, CollectiveKind::all_gather, "q", items);
  for (uint32_t r = 0; r < ranks; ++r) {
    for (uint32_t i = 0; i < 5; ++i) CHECK(all[5 * r + i] == word(r, 0, i));
    for (uint32_t i = 0; i < 3; ++i) CHECK(others[3 * r + i] == r);
  }
}

// stride: in words, from one part of 4 words to the next
void check_all_to_all(World& world, uint32_t stride) {
  const auto [rank, ranks, a, b, c, d] = world.seat();
  Words mine(stride * (ranks - 1) + 4, 99), got(4 * ranks);
  for (uint32_t r = 0; r < (stride == 0 ? 1 : ranks); ++r)
    for (uint32_t i = 0; i < 4; ++i) mine[stride * r + i] = word(rank, r, i);
  const ExchangeItem item{.from = part(mine, 0, 4), .stride = 4 * stride, .to = all_of(got)};
  exchange(world, CollectiveKind::all_to_all, "dw", {&item, 1});
  for (uint32_t r = 0; r < ranks; ++r)
    for (uint32_t i = 0; i < 4; ++i) CHECK(got[4 * r + i] == word(r, stride == 0 ? 0 : rank, i));
}

void check_max(World& world, bool in_place) {
  const auto [rank, ranks, a, b, c, d] = world.seat();
  Words mine{rank, 100 - rank, rank == ranks / 2 ? 0xffffffffu : 0u, 7}, got(4);
  const ExchangeItem item{.from = part(mine, 0, 4), .to = all_of(in_place ? mine : got)};
  exchange(world, CollectiveKind::all_reduce_max, "amax", {&item, 1});
  CHECK((in_place ? mine : got) == Words{ranks - 1, 100, 0xffffffffu, 7});
}

// Each rank reads from all others, from the next one on.
void check_pull(World& world) {
  const auto [rank, ranks, a, b, c, d] = world.seat();
  Words shown(2 * ranks), got(ranks);
  for (uint32_t r = 0; r < ranks; ++r) shown[2 * r] = word(rank, r, 1);
  std::vector<Pull> pulls;
  for (uint32_t step = 1; step < ranks; ++step) {
    const uint32_t peer = (rank + step) % ranks;
    pulls.push_back({peer, 8 * rank, all_of(got).subspan(4 * peer, 4)});
  }
  pull(world, "mailbox", part(shown, 0, shown.size()), pulls);
  for (uint32_t r = 0; r < ranks; ++r) CHECK(got[r] == (r == rank ? 0 : word(r, rank, 1)));
}

TEST_CASE("exchange: every kind, by threads and by processes, in place, strided, in any order of arrival") {
  for (const bool apart : {false, true})
    for (uint32_t ranks = 1; ranks <= 8; ++ranks) {
      CAPTURE(ranks);
      CAPTURE(apart);
      const auto thrown = run_ranks(worlds(ranks, apart), [](World& world) {
        test::Stumble stumble(world.seat().rank);
        for (int round = 0; round < 10; ++round) {
          for (const bool in_place : {false, true}) {
            stumble(), check_gather(world, in_place);
            stumble(), check_max(world, in_place);
          }
          for (const uint32_t stride : {0, 4, 9}) stumble(), check_all_to_all(world, stride);
          stumble(), check_pull(world);
        }
      });
      CHECK(thrown == std::vector<std::string>(ranks));
    }
}

// Rank 1 of 2 calls another exchange than rank 0.
void check_parted(bool apart, CollectiveKind kind, const std::string& label, size_t count,
                  std::initializer_list<std::string> named) {
  const auto thrown = run_ranks(worlds(2, apart), [&](World& world) {
    const bool odd = world.seat().rank == 1;
    Words mine(odd ? count : 4), got(2 * mine.size());
    const ExchangeItem item{.from = part(mine, 0, mine.size()), .to = all_of(got)};
    exchange(world, odd ? kind : CollectiveKind::all_gather, odd ? label : "q", {&item, 1});
  });
  for (const std::string& text : thrown) {
    CAPTURE(text);
    CHECK(text.find("all_gather q") != text.npos);
    CHECK(text.find("of 16 bytes") != text.npos);
    for (const std::string& word : named) CHECK(text.find(word) != text.npos);
  }
}

TEST_CASE("exchange: another kind, label or length ends all ranks, naming both sides") {
  for (const bool apart : {false, true}) {
    check_parted(apart, CollectiveKind::all_to_all, "q", 4, {"all_to_all q"});
    check_parted(apart, CollectiveKind::all_gather, "k", 4, {"all_gather k"});
    check_parted(apart, CollectiveKind::all_gather, "q", 5, {"of 20 bytes"});
  }
}

TEST_CASE("exchange: parts of equal bytes in all but of other lengths end all ranks") {
  const auto thrown = run_ranks(local_worlds(2), [](World& world) {
    const size_t first = 2 + world.seat().rank;
    Words mine(8), a(2 * first), b(2 * (8 - first));
    const ExchangeItem items[] = {{.from = part(mine, 0, first), .to = all_of(a)},
                                  {.from = part(mine, first, 8 - first), .to = all_of(b)}};
    exchange(world, CollectiveKind::all_gather, "q", items);
  });
  for (const std::string& text : thrown) CHECK(text.find("all_gather q differ in length") != text.npos);
}

TEST_CASE("exchange: lengths that do not fit together are found before anybody waits") {
  const auto one = local_worlds(2);
  Words mine(4), got(7);
  const ExchangeItem item{.from = part(mine, 0, 4), .to = all_of(got)};
  for (size_t kind = 0; kind < kCollectiveCount; ++kind)
    test::check_fails(Exit::internal, {"16 bytes", "28"}, [&] {
      exchange(*one[0], CollectiveKind(kind), "q", {&item, 1});
    });
  const Pull beyond{1, 8, all_of(mine)};
  test::check_fails(Exit::internal, {"16 bytes at 8 of 16"}, [&] {
    pull(*one[0], "q", part(mine, 0, 4), {&beyond, 1});
  });
}

}  // namespace
}  // namespace tandem
