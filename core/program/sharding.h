// How ranks share a training step (docs/distributed.md).
#pragma once

#include <cstdint>

namespace tandem {

// zero 1: a rank has its rows of the optimizer's states, and gradients are summed once per step. 2: its rows of
// gradients too, summed in each micro-step. 3: its rows of weights too, gathered where they are read.
struct Sharding {
  uint32_t ranks = 1;
  uint32_t zero = 1;
  bool every_micro_step = false;  // zero 1 sums gradients as 2 does; for tests
};

}  // namespace tandem
