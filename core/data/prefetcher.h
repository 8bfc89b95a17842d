// Steps made ahead of their use.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "core/data/loader.h"

namespace tandem {

// Makes the steps first, first+1, .. last-1 ahead of their use, on its own thread. The loader outlives it.
class Prefetcher {
 public:
  static constexpr size_t kDepth = 2;  // steps held ready

  Prefetcher(const Loader& loader, uint64_t first, uint64_t last);
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // The next step; waits for it. Throws what making it threw. Not after the last.
  StepBatch next();

 private:
  void run(uint64_t first, uint64_t last);

  const Loader& loader_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<StepBatch> ready_;
  std::exception_ptr failure_;
  bool ended_ = false;    // the thread makes no more
  bool stopped_ = false;  // asked to end
  std::thread thread_;    // last: it uses all of the above
};

}  // namespace tandem
