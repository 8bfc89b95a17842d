// What Tandem needs of a Vulkan device, and what a device offers.
#include "backends/vulkan/physical_device.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/base/system_memory.h"

namespace tandem::vulkan {
namespace {

struct Need {
  const char* name;
  VkBool32& (*flag)(Features&);
};

#define NEED(part, member)                                           \
  {                                                                  \
#member, [](Features & f) -> VkBool32& { return f.part.member; } \
  }
constexpr Need kNeeds[] = {
    NEED(core.features, robustBufferAccess),
    NEED(core.features, shaderInt16),
    NEED(core.features, shaderInt64),
    NEED(core.features, shaderStorageImageExtendedFormats),
    NEED(vulkan11, storageBuffer16BitAccess),
    NEED(vulkan12, storageBuffer8BitAccess),
    NEED(vulkan12, shaderInt8),
    NEED(vulkan12, timelineSemaphore),
};
#undef NEED

constexpr VkSubgroupFeatureFlags kSubgroupNeeds = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;

std::string missing_features(VkPhysicalDevice handle) {
  Features features;
  vkGetPhysicalDeviceFeatures2(handle, &features.core);
  std::string missing;
  for (const Need& need : kNeeds)
    if (!need.flag(features)) missing += fmt::format("{}{}", missing.empty() ? "" : ", ", need.name);
  return missing;
}

DeviceInfo::Kind kind_of(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
      return DeviceInfo::Kind::software;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return DeviceInfo::Kind::integrated;
    default:
      return DeviceInfo::Kind::discrete;
  }
}

bool find_queue_family(PhysicalDevice& device) {
  uint32_t count = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(device.handle, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  vkGetPhysicalDeviceQueueFamilyProperties(device.handle, &count, families.data());
  const auto found = std::find_if(families.begin(), families.end(), [](const VkQueueFamilyProperties& f) {
    return (f.queueFlags & VK_QUEUE_COMPUTE_BIT) != 0;
  });
  if (found == families.end()) return false;
  device.queue_family = uint32_t(found - families.begin());
  device.timestamp_bits = found->timestampValidBits;
  return true;
}

uint64_t memory_of(const PhysicalDevice& device) {
  if (device.software()) return available_system_memory();  // the heap's size is made up
  uint64_t largest = 0;
  for (uint32_t i = 0; i < device.memory.memoryHeapCount; ++i)
    if (device.memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)
      largest = std::max<uint64_t>(largest, device.memory.memoryHeaps[i].size);
  return largest;
}

}  // namespace

Features::Features()
    : vulkan12(structure<VkPhysicalDeviceVulkan12Features>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES)),
      vulkan11(structure<VkPhysicalDeviceVulkan11Features>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
                                                           &vulkan12)),
      core(structure<VkPhysicalDeviceFeatures2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, &vulkan11)) {}

void require_features(Features& features) {
  for (const Need& need : kNeeds) need.flag(features) = VK_TRUE;
}

bool environment_flag(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && std::strcmp(value, "1") == 0;
}

std::string examine(VkPhysicalDevice handle, PhysicalDevice& device) {
  device.handle = handle;
  vkGetPhysicalDeviceProperties(handle, &device.properties);
  const uint32_t version = device.properties.apiVersion;
  if (version < VK_API_VERSION_1_2)
    return fmt::format("Vulkan 1.2 (it has {}.{})", VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
  if (std::string missing = missing_features(handle); !missing.empty()) return missing;

  auto buffers =
      structure<VkPhysicalDeviceMaintenance4Properties>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES);
  auto core11 = structure<VkPhysicalDeviceVulkan11Properties>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES,
                                                              version >= VK_API_VERSION_1_3 ? &buffers : nullptr);
  auto all = structure<VkPhysicalDeviceProperties2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &core11);
  vkGetPhysicalDeviceProperties2(handle, &all);
  if ((core11.subgroupSupportedOperations & kSubgroupNeeds) != kSubgroupNeeds ||
      (core11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) == 0)
    return "subgroup shuffles in compute shaders";

  device.kind = kind_of(device.properties.deviceType);
  if (!find_queue_family(device)) return "a queue that computes";
  vkGetPhysicalDeviceMemoryProperties(handle, &device.memory);
  const bool portable = environment_flag("TANDEM_VULKAN_PORTABLE");
  device.subgroup_size = portable ? 0 : core11.subgroupSize;
  device.maps_device_memory = device.kind != DeviceInfo::Kind::discrete && !portable;
  device.largest_allocation = core11.maxMemoryAllocationSize;
  if (buffers.maxBufferSize != 0)
    device.largest_allocation = std::min(device.largest_allocation, buffers.maxBufferSize);
  device.memory_bytes = memory_of(device);
  return "";
}

}  // namespace tandem::vulkan
