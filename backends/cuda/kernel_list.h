// The kernels of this module.
#pragma once

#include <cstdint>

namespace tandem::cuda {

class Device;

// Loads every kernel that has code for the device, which CUDA would else do, and take memory for, at its first launch.
// Returns the bytes of local memory that the largest needs once it runs on the whole device.
uint64_t load_kernels(Device& device);

}  // namespace tandem::cuda
