// The driver's pipeline cache on disk: ${XDG_CACHE_HOME:-~/.cache}/tandem/vulkan-<uuid>-<driver version>.bin.
// It only saves time: a failure is reported on standard error, and nothing else comes of it.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "backends/vulkan/api.h"

namespace tandem::vulkan {

// Empty when there is none, or when it was written for another device or driver.
std::vector<std::byte> read_pipeline_file(const VkPhysicalDeviceProperties& device);
void write_pipeline_file(const VkPhysicalDeviceProperties& device, std::span<const std::byte> data);

}  // namespace tandem::vulkan
