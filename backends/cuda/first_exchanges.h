// What a backend does when ranks join, before its memory's budget is read.
#pragma once

#include "backends/cuda/device.h"

namespace tandem::cuda {

// Two ranks that are on one device, if there are any. All ranks call it.
std::optional<std::pair<uint32_t, uint32_t>> ranks_of_one_device(Device& device, World& world);

// Runs each kind of exchange, small and large, on a joined device, so that NCCL has taken what it takes at the first;
// Exit::device where wrong bytes come, as some pairs of devices are known to give.
void run_first_exchanges(Device& device, const Seat& seat);

}  // namespace tandem::cuda
