// Measures what crosses between the devices of a machine, all of them at once, through the same backend as training.
#pragma once

#include <functional>

#include "core/runtime/registry.h"

namespace tandem {

// Seconds of one exchange of so many bytes, the parts of all ranks together: the median of some runs. Every rank of the
// World that the backend has joined makes the same call.
double seconds_per_exchange(Backend& backend, World& world, CollectiveKind kind, uint64_t bytes);

// Between the ranks of the World that the backend has joined; the first rank's figures for all. Every rank calls it.
Links links_of(Backend& backend, World& world);

// Each device is a rank, a thread of this process. progress: told what is measured next. Exit::device.
Links calibrate_links(const Registry& registry, std::span<const DeviceInfo> devices,
                      const std::function<void(const std::string&)>& progress);

}  // namespace tandem
