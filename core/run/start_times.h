// What the start of a run took, stage by stage.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace tandem {

class StartTimes {
 public:
  // Ends a stage, which began where the one before ended.
  void took(std::string stage);
  // "9.81 s: device 1.20, parameters 6.40"; stages under a tenth of the whole are left out.
  std::string text() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Stage {
    std::string name;
    double seconds = 0;
  };

  Clock::time_point start_ = Clock::now(), last_ = start_;
  std::vector<Stage> stages_;
};

}  // namespace tandem
