#include "core/data/prefetcher.h"

#include "core/base/error.h"

namespace tandem {

Prefetcher::Prefetcher(const Loader& loader, uint64_t first, uint64_t last)
    : loader_(loader), thread_([=, this] { run(first, last); }) {}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Prefetcher::run(uint64_t first, uint64_t last) {
  std::exception_ptr failure;
  try {
    for (uint64_t s = first; s < last; ++s) {
      StepBatch batch = loader_.step(s);
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopped_ || ready_.size() < kDepth; });
      if (stopped_) return;
      ready_.push_back(std::move(batch));
      changed_.notify_all();
    }
  } catch (...) {
    failure = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  failure_ = failure;
  ended_ = true;
  changed_.notify_all();
}

StepBatch Prefetcher::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !ready_.empty() || ended_; });
  if (ready_.empty() && failure_ != nullptr) std::rethrow_exception(failure_);
  TANDEM_CHECK(!ready_.empty(), "a step after the last");
  StepBatch batch = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  return batch;
}

}  // namespace tandem
