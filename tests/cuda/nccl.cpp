// NCCL's module, with the library played on the host: what it calls, in which order, and that no failure hangs.
#include "backends/cuda/communicator.h"

#include <doctest/doctest.h>

#include "core/build_id.h"
#include "tests/cuda/fake_nccl.h"
#include "tests/support/rank_threads.h"

extern "C" const char* tandem_nccl_build();
extern "C" tandem::cuda::Communicator* tandem_nccl_module(tandem::World& world);

namespace tandem::cuda {
namespace {

using test::fake_nccl;
using Words = std::vector<uint32_t>;

std::unique_ptr<Communicator> connected(World& world) {
  return std::unique_ptr<Communicator>(tandem_nccl_module(world));
}

// One group of two gathers, of which one is in place, then an exchange of two words with each, then the largest words.
void exchange_words(Communicator& nccl, uint32_t rank, uint32_t ranks) {
  Words all(ranks), whole(ranks), mine(2 * ranks), got(2 * ranks), largest{rank, 9 - rank}, own{rank};
  whole[rank] = 70 + rank;
  const auto bytes = [](Words& words, size_t at = 0) { return reinterpret_cast<std::byte*>(words.data() + at); };
  nccl.run(std::vector<ExchangeCall>{{.from = bytes(own), .to = bytes(all), .bytes = 4},
                                     {.from = bytes(whole, rank), .to = bytes(whole), .bytes = 4}},
           nullptr);
  std::vector<ExchangeCall> calls;
  for (uint32_t p = 0; p < ranks; ++p) {
    mine[2 * p] = 100 * rank + p, mine[2 * p + 1] = 7;
    calls.push_back({.kind = CallKind::send, .from = bytes(mine, 2 * p), .bytes = 8, .peer = p});
    calls.push_back({.kind = CallKind::receive, .to = bytes(got, 2 * p), .bytes = 8, .peer = p});
  }
  nccl.run(calls, nullptr);
  const ExchangeCall largest_words{
      .kind = CallKind::all_reduce_max, .from = bytes(largest), .to = bytes(largest), .bytes = 8};
  nccl.run({&largest_words, 1}, nullptr);
  for (uint32_t p = 0; p < ranks; ++p) {
    CHECK(all[p] == p);
    CHECK(whole[p] == 70 + p);
    CHECK(got[2 * p] == 100 * p + rank);
    CHECK(got[2 * p + 1] == 7);
  }
  CHECK(largest == Words{ranks - 1, 9});
}

TEST_CASE("nccl: groups run on ranks in threads, multicast is off, and ends are destroyed") {
  for (uint32_t ranks : {2u, 3u, 5u}) {
    test::reset_fake_nccl();
    const auto thrown = test::run_ranks(local_worlds(ranks), [&](World& world) {
      const std::unique_ptr<Communicator> nccl = connected(world);
      for (int step = 0; step < 20; ++step) {
        nccl->barrier("step");
        exchange_words(*nccl, world.seat().rank, ranks);
        nccl->check();
      }
    });
    for (const std::string& text : thrown) CHECK(text == "");
    CHECK(fake_nccl().multicast == "0");
    CHECK(fake_nccl().aborted == 0);
    CHECK(fake_nccl().destroyed == int(ranks));
  }
  CHECK(tandem_nccl_build() == std::string(kBuildId));
}

TEST_CASE("nccl: an error inside the library is told with what it says, and every rank aborts") {
  test::reset_fake_nccl();
  fake_nccl().fail_group = 3;
  const auto thrown = test::run_ranks(local_worlds(2), [&](World& world) {
    const std::unique_ptr<Communicator> nccl = connected(world);
    for (int step = 0; step < 20; ++step) exchange_words(*nccl, world.seat().rank, 2);
  });
  CHECK_MESSAGE((thrown[0] + thrown[1]).find("ncclGroupEnd: a fault on purpose (of the fake)") != std::string::npos,
                thrown[0], thrown[1]);
  CHECK(fake_nccl().aborted == 2);
  CHECK(fake_nccl().destroyed == 0);
}

// Rank 1 leaves by an exception while rank 0 waits for it: in a group, or for its end.
TEST_CASE("nccl: a peer that fails ends the wait for it, and the message names it") {
  for (const bool in_group : {true, false}) {
    test::reset_fake_nccl();
    const auto thrown = test::run_ranks(local_worlds(2), [&](World& world) {
      const std::unique_ptr<Communicator> nccl = connected(world);
      exchange_words(*nccl, world.seat().rank, 2);
      if (world.seat().rank == 1) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));  // rank 0 is in its wait by then
        fail(Exit::storage, "disk", "full on purpose");
      }
      if (in_group) exchange_words(*nccl, 0, 2);
      else
        for (;;) nccl->check();
    });
    CHECK(thrown[0].find("rank 1 failed: [disk] full on purpose") != std::string::npos);
    CHECK(thrown[1].find("[disk] full on purpose") != std::string::npos);
    CHECK(fake_nccl().aborted == 2);
  }
}

TEST_CASE("nccl: where its module is missing, the message says what to install") {
  const auto worlds = local_worlds(1);
  try {
    (void)connect(*worlds[0]);  // this test has none beside it
    FAIL("there is a module");
  } catch (const Error& e) {
    CHECK(e.exit() == Exit::device);
    for (const char* words : {"several GPUs need NCCL", "libtandem-nccl.so is not there", "install NCCL 2"})
      CHECK_MESSAGE(std::string(e.what()).find(words) != std::string::npos, e.what());
  }
}

TEST_CASE("nccl: after an abort nothing is run") {
  test::reset_fake_nccl();
  const auto thrown = test::run_ranks(local_worlds(2), [&](World& world) {
    const std::unique_ptr<Communicator> nccl = connected(world);
    world.barrier();
    nccl->abort();
    CHECK_THROWS_WITH_AS(nccl->run({}, nullptr), doctest::Contains("aborted after a failure"), Error);
  });
  CHECK(fake_nccl().aborted == 2);
}

}  // namespace
}  // namespace tandem::cuda
