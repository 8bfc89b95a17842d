#include "core/run/start_times.h"

#include <fmt/format.h>

namespace tandem {

void StartTimes::took(std::string stage) {
  const Clock::time_point now = Clock::now();
  stages_.push_back({std::move(stage), std::chrono::duration<double>(now - last_).count()});
  last_ = now;
}

std::string StartTimes::text() const {
  std::string text = fmt::format("{:.2f} s", std::chrono::duration<double>(last_ - start_).count());
  const char* separator = ": ";
  for (const Stage& stage : stages_) {
    if (stage.seconds < 0.01) continue;
    text += fmt::format("{}{} {:.2f}", separator, stage.name, stage.seconds);
    separator = ", ";
  }
  return text;
}

}  // namespace tandem
