// A device that other programs hold a part of, and that takes memory of its own when it is opened, when a Program is
// loaded and when a range first runs: the host executor with a GPU's accounts.
#pragma once

#include "core/runtime/backend.h"

namespace tandem::test {

// In bytes.
struct SharedDevice {
  uint64_t total = 0, others = 0;     // `others` may hold more, or less, once it is open.
  uint64_t context = 0, kernels = 0;  // At open.
  uint64_t load = 0, first_run = 0;   // At a load; at the first submission of each range.
  uint64_t granularity = 1;           // An allocation's.
  uint64_t to_come = 0, margin = 0;   // As its backend states them.
};

// An allocation beyond the total fails with Exit::does_not_fit. device must outlive the backend.
std::unique_ptr<Backend> open_shared(const SharedDevice& device);

}  // namespace tandem::test
