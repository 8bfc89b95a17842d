// What Tandem needs of a Vulkan device, and what a device offers.
#pragma once

#include "backends/vulkan/api.h"
#include "core/runtime/backend.h"

namespace tandem::vulkan {

// The features that the shaders and the executable rest on, as a chain to query or to enable.
struct Features {
  VkPhysicalDeviceSubgroupSizeControlFeatures subgroups;  // left out where the device has no such control
  VkPhysicalDeviceVulkan12Features vulkan12;
  VkPhysicalDeviceVulkan11Features vulkan11;
  VkPhysicalDeviceFeatures2 core;  // the head of the chain

  Features();
  Features(const Features&) = delete;  // it points into itself
  Features& operator=(const Features&) = delete;
};

// What a device says of subgroups in its compute shaders.
struct SubgroupSupport {
  bool shuffles = false;                          // basic operations and shuffles
  bool full = false;                              // pipelines can ask for full subgroups
  bool sized = false;                             // and for a size
  uint32_t usual = 0, smallest = 0, largest = 0;  // sizes: the one reported, and those that a pipeline may get
};

// The subgroups of pipelines whose shaders have subgroup operations.
struct Subgroups {
  uint32_t size = 0;       // 0: none can be relied on
  bool requested = false;  // pipelines ask for the size, as they may get others
};

// Without full subgroups, or with a size that may be another than the one reported, no lane knows its place.
Subgroups reliable_subgroups(const SubgroupSupport& support);

struct PhysicalDevice {
  VkPhysicalDevice handle = nullptr;
  VkPhysicalDeviceProperties properties{};
  VkPhysicalDeviceMemoryProperties memory{};
  std::string driver;  // "llvmpipe Mesa 22.3.6 (LLVM 15.0.6)"
  DeviceInfo::Kind kind = DeviceInfo::Kind::software;
  uint32_t queue_family = 0;    // one that computes
  uint32_t timestamp_bits = 0;  // the family's; 0: it has no timestamps
  Subgroups subgroups;
  uint32_t subgroups_per_workgroup = 0;  // at most
  bool portable = false;                 // take no shader made for one kind of device
  uint64_t largest_allocation = 0;       // bytes
  uint64_t memory_bytes = 0;        // the largest device-local heap's; on a software device what the system has left
  uint64_t free_bytes = 0;          // what this process may still take of memory_bytes
  bool maps_device_memory = false;  // else device arenas are reached through a staging buffer

  bool software() const { return kind == DeviceInfo::Kind::software; }
  // Turns of all its loops together after which an invocation leaves them, whatever their conditions say: Mesa's
  // software device counts, and says nothing.
  uint64_t loop_iterations() const { return software() ? 65535 : UINT64_MAX; }
};

// Fills in device; returns what it lacks, empty when it can run Tandem.
std::string examine(VkPhysicalDevice handle, PhysicalDevice& device);
bool has_extension(VkPhysicalDevice handle, std::string_view name);
void require_features(Features& features, const PhysicalDevice& device);  // sets all that is needed

// Bytes of the largest device-local heap that this process may still take: its budget less what the process holds.
// budget: null where the driver has no VK_EXT_memory_budget; then the heap's size is all that is known.
uint64_t free_device_memory(const VkPhysicalDeviceMemoryProperties& memory,
                            const VkPhysicalDeviceMemoryBudgetPropertiesEXT* budget);

bool environment_flag(const char* name);  // is it set to 1?

}  // namespace tandem::vulkan
