// One rank of a run of processes, as its launch variables say: rank-process DEVICES DIRECTORY IDENTITY PATIENCE_MS WHAT
// RANK. It meets the others, makes the calls of tests/support/rank_rounds.h, and prints its seat and a hash of what it
// got. Then rank RANK does WHAT, while the others wait for it. Exits as `tandem` does. tests/run/processes.cpp runs it.
#include <fmt/format.h>
#include <signal.h>

#include <chrono>
#include <thread>

#include "core/run/launch.h"
#include "tests/support/rank_rounds.h"

namespace tandem {
namespace {

// As a GPU's wait loop does.
[[noreturn]] void wait_and_check(World& world) {
  for (;;) {
    world.check();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void act(World& world, const std::string& what) {
  if (what == "throw") fail(Exit::input, "data", "a bad token");
  if (what == "kill") ::raise(SIGKILL);
  if (what == "stop") ::raise(SIGSTOP);
  if (what == "part") world.agree(0, "something else");
  if (what == "unwind") throw std::runtime_error("not an Error");  // past the World
}

void run(World& world, const std::string& what, uint32_t rank) {
  const Seat& s = world.seat();
  fmt::print("seat {} {} {} {} {} {}\n", s.rank, s.ranks, s.local_rank, s.local_ranks, s.host, s.hosts);
  fmt::print("rounds {}\n", test::hash_of_rounds(world));
  std::fflush(stdout);
  if (what == "end") return;
  if (s.rank == rank) return act(world, what);
  if (s.rank % 2 == 0 && what != "part") wait_and_check(world);
  world.barrier("the end");
}

int rank_main(char** arguments) {
  const auto launch = [&] {
    auto read = read_launch(uint32_t(std::stoul(arguments[0])), arguments[1], arguments[2]);
    if (!read) fail(Exit::configuration, "launch", "there is no launcher");
    read->patience = std::chrono::milliseconds(std::stoul(arguments[3]));
    return *read;
  }();
  const std::unique_ptr<World> world = tcp_world(launch);
  try {
    run(*world, arguments[4], uint32_t(std::stoul(arguments[5])));
  } catch (const Error& e) {
    world->fail(e.exit(), e.what());
    throw;
  }
  return 0;
}

}  // namespace
}  // namespace tandem

int main(int argc, char** argv) {
  try {
    return argc == 7 ? tandem::rank_main(argv + 1) : 2;
  } catch (const tandem::Error& e) {
    fmt::print(stderr, "{}\n", e.what());
    return int(e.exit());
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
}
