// Work on a stream of items by several threads, whose results come in the items' order.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace tandem {

// Calls work on each item that next gives, on `threads` threads, and take with the results in order; next and take run
// on the calling thread. At most twice as many items as threads are in memory. With one thread all is done by the
// calling one. What work throws is thrown in the place of its result.
template <typename Item, typename Result>
void ordered_pipeline(unsigned threads, const std::function<std::optional<Item>()>& next,
                      const std::function<Result(Item)>& work, const std::function<void(Result)>& take) {
  if (threads <= 1) {
    while (auto item = next()) take(work(std::move(*item)));
    return;
  }
  struct Job {
    Item item;
    std::optional<Result> result;
    std::exception_ptr failure;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::shared_ptr<Job>> waiting, all;  // not begun; in order, not taken yet
  bool ended = false;

  const auto run = [&] {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return ended || !waiting.empty(); });
      if (ended) return;
      const std::shared_ptr<Job> job = std::move(waiting.front());
      waiting.pop_front();
      lock.unlock();
      std::optional<Result> result;
      std::exception_ptr failure;
      try {
        result = work(std::move(job->item));
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      job->result = std::move(result);
      job->failure = failure;
      changed.notify_all();
    }
  };

  // Ends the threads, on a failure too.
  struct Pool {
    std::vector<std::thread> threads;
    std::function<void()> end;
    ~Pool() {
      end();
      for (std::thread& thread : threads) thread.join();
    }
  } pool{{}, [&] {
           const std::lock_guard lock(mutex);
           ended = true;
           changed.notify_all();
         }};
  for (unsigned i = 0; i < threads; ++i) pool.threads.emplace_back(run);

  for (bool more = true; more || !all.empty();) {
    while (more && all.size() < 2 * size_t(threads)) {
      auto item = next();
      if (!item) {
        more = false;
        break;
      }
      const auto job = std::make_shared<Job>(Job{std::move(*item), {}, {}});
      const std::lock_guard lock(mutex);
      all.push_back(job);
      waiting.push_back(job);
      changed.notify_all();
    }
    if (all.empty()) break;
    const std::shared_ptr<Job> oldest = all.front();
    all.pop_front();
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return oldest->result.has_value() || oldest->failure != nullptr; });
    }
    if (oldest->failure != nullptr) std::rethrow_exception(oldest->failure);
    take(std::move(*oldest->result));
  }
}

}  // namespace tandem
