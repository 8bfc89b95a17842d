// NVIDIA's management library, which comes with the driver: it knows a device's memory before this process is on it.
#pragma once

#include <cstdint>
#include <optional>

namespace tandem::cuda {

// Free bytes of the device, among CUDA's; nullopt where the library is not there, or does not know this device.
std::optional<uint64_t> free_by_nvml(int device);

}  // namespace tandem::cuda
