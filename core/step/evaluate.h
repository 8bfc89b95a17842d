// Mean -ln p over the valid targets of token files.
#pragma once

#include <functional>
#include <optional>

#include "core/data/loader.h"
#include "core/step/step_runner.h"

namespace tandem {

struct Evaluation {
  double loss = 0;      // nats a target
  uint64_t tokens = 0;  // valid targets
  uint64_t sequences = 0;
};

// The first `windows` windows (0: all), each once, in order. Nothing when broken_off, asked between batches, says so.
// world: the ranks that share them, which all call this alike and get the same; null: one rank has them all.
std::optional<Evaluation> evaluate(StepRunner& runner, World* world, const Windows& data, uint64_t windows,
                                   const std::function<bool()>& broken_off);
Evaluation evaluate(StepRunner& runner, const Windows& data, uint64_t windows = 0);

}  // namespace tandem
