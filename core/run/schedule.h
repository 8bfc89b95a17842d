// The learning rate over a run: linear warm-up, then cosine, linear or constant.
#pragma once

#include "core/run/config.h"

namespace tandem {

// At step s = 0..S-1, with W warm-up steps: s < W: peak * (s+1) / W; then, with p = (s-W) / max(1, S-1-W),
// from peak (p = 0) to peak * final_fraction (p = 1); constant stays at peak.
double learning_rate(const RunConfig& config, uint64_t step);

}  // namespace tandem
