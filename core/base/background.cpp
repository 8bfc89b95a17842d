#include "core/base/background.h"

#include <chrono>
#include <utility>

namespace tandem {

Background::~Background() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Background::start(std::function<void()> work, std::function<void(double)> then) {
  {
    const std::lock_guard lock(mutex_);
    if (failed_) return;
    waiting_.push_back({std::move(work), std::move(then)});
  }
  changed_.notify_all();
}

void Background::run() {
  using Clock = std::chrono::steady_clock;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return ended_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const Piece& piece = waiting_.front();  // A deque's elements stay where they are as others come.
    lock.unlock();
    const auto start = Clock::now();
    std::exception_ptr failure;
    try {
      piece.work();
    } catch (...) {
      failure = std::current_exception();
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    lock.lock();
    if (failure) {
      failure_ = failure;
      failed_ = true;
      waiting_.clear();
    } else {
      done_.push_back({{}, std::move(waiting_.front().then), seconds});
      waiting_.pop_front();
    }
    changed_.notify_all();
  }
}

void Background::collect() {
  std::unique_lock lock(mutex_);
  const std::vector<Piece> done = std::exchange(done_, {});
  const std::exception_ptr failure = std::exchange(failure_, {});
  lock.unlock();
  for (const Piece& piece : done)
    if (piece.then) piece.then(piece.seconds);
  if (failure) std::rethrow_exception(failure);
}

void Background::finish() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_.empty(); });
  }
  collect();
}

}  // namespace tandem
