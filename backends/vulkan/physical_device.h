// What Tandem needs of a Vulkan device, and what a device offers.
#pragma once

#include "backends/vulkan/api.h"
#include "core/runtime/backend.h"

namespace tandem::vulkan {

// The features that the shaders and the executable rest on, as a chain to query or to enable.
struct Features {
  VkPhysicalDeviceVulkan12Features vulkan12;
  VkPhysicalDeviceVulkan11Features vulkan11;
  VkPhysicalDeviceFeatures2 core;  // the head of the chain

  Features();
  Features(const Features&) = delete;  // it points into itself
  Features& operator=(const Features&) = delete;
};

struct PhysicalDevice {
  VkPhysicalDevice handle = nullptr;
  VkPhysicalDeviceProperties properties{};
  VkPhysicalDeviceMemoryProperties memory{};
  DeviceInfo::Kind kind = DeviceInfo::Kind::software;
  uint32_t queue_family = 0;        // one that computes
  uint32_t timestamp_bits = 0;      // of that family; 0: it has no timestamps
  uint32_t subgroup_size = 0;       // 0: take no shader made for one size
  uint64_t largest_allocation = 0;  // bytes
  uint64_t memory_bytes = 0;        // of the largest device-local heap; on a software device what the system has left
  uint64_t free_bytes = 0;          // of them, what this process may still take
  bool maps_device_memory = false;  // else device arenas are reached through a staging buffer

  bool software() const { return kind == DeviceInfo::Kind::software; }
};

// Fills in device; returns what it lacks, empty when it can run Tandem.
std::string examine(VkPhysicalDevice handle, PhysicalDevice& device);
void require_features(Features& features);  // sets all that is needed

// Bytes of the largest device-local heap that this process may still take: its budget less what the process holds.
// budget: null where the driver has no VK_EXT_memory_budget; then the heap's size is all that is known.
uint64_t free_device_memory(const VkPhysicalDeviceMemoryProperties& memory,
                            const VkPhysicalDeviceMemoryBudgetPropertiesEXT* budget);

bool environment_flag(const char* name);  // is it set to 1?

}  // namespace tandem::vulkan
