#include "core/run/start_times.h"

#include <fmt/format.h>

namespace tandem {

void StartTimes::took(std::string stage) {
  const Clock::time_point now = Clock::now();
  stages_.push_back({std::move(stage), std::chrono::duration<double>(now - last_).count()});
  last_ = now;
}

std::string StartTimes::text() const {
  constexpr double kWorthNaming = 0.1;  // a share of the whole
  const double whole = std::chrono::duration<double>(last_ - start_).count();
  std::string text = fmt::format("{:.2f} s", whole);
  const char* separator = ": ";
  for (const Stage& stage : stages_) {
    if (stage.seconds < kWorthNaming * whole) continue;
    text += fmt::format("{}{} {:.2f}", separator, stage.name, stage.seconds);
    separator = ", ";
  }
  return text;
}

}  // namespace tandem
