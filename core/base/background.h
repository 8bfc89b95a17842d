// Work on a thread of its own, while the caller goes on.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tandem {

// One caller's work, one piece after the other. Once one has thrown, all behind it are dropped.
class Background {
 public:
  Background() : thread_([this] { run(); }) {}
  ~Background();  // Waits for all of it.
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // then: called on the caller's thread, by collect or finish, once work is done; seconds: what it took.
  void start(std::function<void()> work, std::function<void(double seconds)> then = {});
  void collect();  // Does not wait. Throws what work threw.
  void finish();   // Waits for all, then collects.

 private:
  struct Piece {
    std::function<void()> work;
    std::function<void(double)> then;
    double seconds = 0;
  };

  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Piece> waiting_;  // the first of them is being worked on
  std::vector<Piece> done_;
  std::exception_ptr failure_;
  bool failed_ = false, ended_ = false;  // no more is done; no more is started
  std::thread thread_;                   // last: it uses all of the above
};

}  // namespace tandem
