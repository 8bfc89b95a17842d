// One thread per rank, each with its World, as a run in one process has them.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/runtime/world.h"

namespace tandem::test {

// Runs body on a thread per world, as a rank does it: what it throws is told to the peers, and the World is gone at the
// end. Returns what each rank threw, empty for none.
inline std::vector<std::string> run_ranks(std::vector<std::unique_ptr<World>> worlds,
                                          const std::function<void(World&)>& body) {
  std::vector<std::string> thrown(worlds.size());
  std::vector<std::thread> threads;
  for (size_t r = 0; r < worlds.size(); ++r)
    threads.emplace_back([&body, &text = thrown[r], world = std::move(worlds[r])] {
      try {
        body(*world);
      } catch (const Error& e) {
        world->fail(e.exit(), e.what());
        text = e.what();
      }
    });
  for (std::thread& thread : threads) thread.join();
  return thrown;
}

// Sleeps that differ from rank to rank and from call to call, so that each comes first somewhere.
class Stumble {
 public:
  explicit Stumble(uint32_t seed) : random_(seed) {}
  void operator()() {
    const auto us = std::uniform_int_distribution<int>(-400, 400)(random_);
    if (us > 0) std::this_thread::sleep_for(std::chrono::microseconds(us));
  }

 private:
  std::mt19937 random_;
};

}  // namespace tandem::test
