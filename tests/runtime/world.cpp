// Ranks that are threads: what each call brings to each rank, that a difference or a failed rank ends all of them with
// both sides named, and that nobody waits for ever.
#include "core/runtime/world.h"

#include <doctest/doctest.h>

#include <atomic>

#include "tests/support/rank_rounds.h"
#include "tests/support/rank_threads.h"
#include "tests/support/temporary.h"

namespace tandem {
namespace {

using test::bytes_of;
using test::run_ranks;
using test::writable;

void check_all(const std::vector<std::string>& thrown, std::initializer_list<std::string> words) {
  for (size_t r = 0; r < thrown.size(); ++r) {
    CAPTURE(thrown[r]);
    CHECK(thrown[r].starts_with(fmt::format("[rank {}] ", r)));
    for (const std::string& word : words) CHECK(thrown[r].find(word) != std::string::npos);
  }
}

TEST_CASE("world: every call brings every rank what the others gave, in any order of arrival") {
  for (uint32_t ranks = 1; ranks <= 8; ++ranks) {
    CAPTURE(ranks);
    const auto thrown = run_ranks(local_worlds(ranks), [](World& world) {
      test::Stumble stumble(world.seat().rank);
      for (uint32_t round = 0; round < 20; ++round) {
        stumble();
        CHECK(test::one_round(world, round, 1 + round % 3) == test::expected_round(world.seat(), round, 1 + round % 3));
      }
    });
    CHECK(thrown == std::vector<std::string>(ranks));
  }
}

TEST_CASE("world: a seat of threads is on one host") {
  const auto worlds = local_worlds(3);
  REQUIRE(worlds.size() == 3);
  for (uint32_t r = 0; r < 3; ++r) {
    const Seat& s = worlds[r]->seat();
    CHECK((s.rank == r && s.ranks == 3 && s.local_rank == r && s.local_ranks == 3 && s.host == 0 && s.hosts == 1));
  }
}

TEST_CASE("world: a barrier holds all until the last has come") {
  std::atomic<int> came = 0;
  run_ranks(local_worlds(4), [&](World& world) {
    test::Stumble stumble(world.seat().rank);
    for (int round = 1; round <= 200; ++round) {
      stumble();
      ++came;
      world.barrier();
      CHECK(came >= 4 * round);
    }
  });
}

TEST_CASE("world: another kind, label, length or root on one rank ends all, naming both sides") {
  using Call = std::function<void(World&)>;
  std::vector<std::byte> data(24), all(24 * 3);
  const Call usual = [](World& w) {
    std::vector<std::byte> mine(8);
    w.broadcast(mine, 0, "loss");
  };
  const std::pair<Call, std::string> others[] = {
      {[](World& w) { w.barrier("loss"); }, "barrier 'loss'"},
      {[](World& w) {
         std::vector<std::byte> mine(8);
         w.broadcast(mine, 0, "norm");
       },
       "broadcast 'norm' of 8 bytes from rank 0"},
      {[](World& w) {
         std::vector<std::byte> mine(9);
         w.broadcast(mine, 0, "loss");
       },
       "broadcast 'loss' of 9 bytes from rank 0"},
      {[](World& w) {
         std::vector<std::byte> mine(8);
         w.broadcast(mine, 1, "loss");
       },
       "broadcast 'loss' of 8 bytes from rank 1"},
  };
  for (uint32_t odd = 0; odd < 3; ++odd)
    for (const auto& other : others) {
      const Call& call = other.first;
      const auto thrown = run_ranks(local_worlds(3), [&](World& world) {
        test::Stumble stumble(world.seat().rank + odd);
        stumble();
        world.barrier();
        (world.seat().rank == odd ? call : usual)(world);
      });
      check_all(thrown, {"broadcast 'loss' of 8 bytes from rank 0", other.second, fmt::format("rank {}", odd)});
    }
}

TEST_CASE("world: a rank that throws wakes those that wait, and check tells those that do not") {
  const auto thrown = run_ranks(local_worlds(4), [](World& world) {
    world.barrier();
    if (world.seat().rank == 2) fail(Exit::input, "data", "a bad token");
    if (world.seat().rank != 1) return world.barrier();
    for (;;) {
      world.check();
      std::this_thread::yield();
    }
  });
  CHECK(thrown[2] == "[data] a bad token");
  for (size_t r : {0, 1, 3}) CHECK(thrown[r] == fmt::format("[rank {}] rank 2 failed: [data] a bad token", r));
}

TEST_CASE("world: the first failure counts, and it stays") {
  const auto worlds = local_worlds(2);
  worlds[0]->check();
  worlds[1]->fail(Exit::storage, "the first");
  worlds[0]->fail(Exit::storage, "the second");
  for (int again = 0; again < 2; ++again) {
    test::check_fails(Exit::device, {"[rank 0] rank 1 failed: the first"}, [&] { worlds[0]->check(); });
    test::check_fails(Exit::device, {"rank 1 failed: the first"}, [&] { worlds[0]->barrier(); });
  }
}

TEST_CASE("world: a rank that ends early fails those that still wait for it") {
  const auto thrown = run_ranks(local_worlds(3), [](World& world) {
    world.barrier();
    if (world.seat().rank != 1) world.barrier("one too many");
  });
  CHECK(thrown[1].empty());
  CHECK(thrown[0] == "[rank 0] rank 1 ended before the others");
  CHECK(thrown[2] == "[rank 2] rank 1 ended before the others");
}

TEST_CASE("world: a World that an exception destroys counts as a failure") {
  auto worlds = local_worlds(2);
  try {
    const std::unique_ptr<World> world = std::move(worlds[1]);
    throw std::runtime_error("not an Error");
  } catch (const std::runtime_error&) {
  }
  CHECK_NOTHROW(worlds[0]->seat());
  test::check_fails(Exit::device, {"[rank 0] rank 1 failed"}, [&] { worlds[0]->check(); });
}

TEST_CASE("world: a rank that fails while others copy leaves their bytes whole") {
  for (int again = 0; again < 50; ++again) {
    auto worlds = local_worlds(3);
    World& failing = *worlds[1];
    std::thread watchdog([&failing, again] {
      std::this_thread::sleep_for(std::chrono::microseconds(20 * again));
      failing.fail(Exit::device, "hangs");
    });
    const auto thrown = run_ranks(std::move(worlds), [&](World& world) {
      for (;;) {  // the buffers live in this round alone
        std::vector<uint32_t> mine(1 << 12, world.seat().rank), all(3 << 12);
        world.all_gather(bytes_of(mine), writable(all));
        for (uint32_t r = 0; r < 3; ++r) CHECK(all[(r << 12) + 5] == r);
        if (world.seat().rank == 1) world.check();
      }
    });
    watchdog.join();
    check_all(thrown, {"rank 1 failed: hangs"});
  }
}

}  // namespace
}  // namespace tandem
