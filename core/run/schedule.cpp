#include "core/run/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tandem {

double learning_rate(const RunConfig& config, uint64_t step) {
  const auto& [steps, warmup, kind, final_fraction] = config.schedule;
  const double peak = config.optimizer.learning_rate;
  if (step < warmup) return peak * double(step + 1) / double(warmup);
  if (kind == "constant") return peak;
  const uint64_t length = steps > warmup + 1 ? steps - 1 - warmup : 1;
  const double progress = std::min(1.0, double(step - warmup) / double(length));
  const double share = kind == "cosine" ? 0.5 * (1 + std::cos(std::numbers::pi * progress)) : 1 - progress;
  return peak * (final_fraction + (1 - final_fraction) * share);
}

}  // namespace tandem
