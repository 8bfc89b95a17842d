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

std::string missing_features(Features& features) {
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

// The index of the largest device-local heap: the one that arenas come from. All devices have one.
uint32_t arena_heap(const VkPhysicalDeviceMemoryProperties& memory) {
  uint32_t largest = memory.memoryHeapCount;
  for (uint32_t i = 0; i < memory.memoryHeapCount; ++i) {
    if ((memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) == 0) continue;
    if (largest == memory.memoryHeapCount || memory.memoryHeaps[i].size > memory.memoryHeaps[largest].size) largest = i;
  }
  TANDEM_CHECK(largest < memory.memoryHeapCount, "none of {} heaps is local to the device", memory.memoryHeapCount);
  return largest;
}

// What is younger than Vulkan 1.0: the driver's name, the largest allocation, and subgroups.
void examine_limits(PhysicalDevice& device, const VkPhysicalDeviceSubgroupSizeControlFeatures& control) {
  const bool newer = device.properties.apiVersion >= VK_API_VERSION_1_3;
  const bool controls = newer || has_extension(device.handle, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
  auto buffers =
      structure<VkPhysicalDeviceMaintenance4Properties>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES);
  auto sizes = structure<VkPhysicalDeviceSubgroupSizeControlProperties>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES, newer ? &buffers : nullptr);
  auto core12 = structure<VkPhysicalDeviceVulkan12Properties>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES,
                                                              controls ? &sizes : nullptr);
  auto core11 =
      structure<VkPhysicalDeviceVulkan11Properties>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES, &core12);
  auto all = structure<VkPhysicalDeviceProperties2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &core11);
  vkGetPhysicalDeviceProperties2(device.handle, &all);

  device.driver = fmt::format("{} {}", core12.driverName, core12.driverInfo);
  device.largest_allocation = core11.maxMemoryAllocationSize;
  if (buffers.maxBufferSize != 0)
    device.largest_allocation = std::min(device.largest_allocation, buffers.maxBufferSize);

  constexpr VkSubgroupFeatureFlags kOperations = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
  SubgroupSupport support;
  support.shuffles = (core11.subgroupSupportedOperations & kOperations) == kOperations &&
                     (core11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
  support.full = control.computeFullSubgroups;
  support.sized = control.subgroupSizeControl && (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
  support.usual = core11.subgroupSize;
  support.smallest = sizes.minSubgroupSize;
  support.largest = sizes.maxSubgroupSize;
  device.subgroups = reliable_subgroups(support);
  device.subgroups_per_workgroup = sizes.maxComputeWorkgroupSubgroups;
}

void examine_memory(PhysicalDevice& device) {
  auto budget = structure<VkPhysicalDeviceMemoryBudgetPropertiesEXT>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT);
  const bool told = has_extension(device.handle, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  auto properties = structure<VkPhysicalDeviceMemoryProperties2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
                                                                 told ? &budget : nullptr);
  vkGetPhysicalDeviceMemoryProperties2(device.handle, &properties);
  device.memory = properties.memoryProperties;
  if (device.software()) {  // the heap's size is made up
    device.memory_bytes = device.free_bytes = available_system_memory();
    return;
  }
  device.memory_bytes = device.memory.memoryHeaps[arena_heap(device.memory)].size;
  device.free_bytes = free_device_memory(device.memory, told ? &budget : nullptr);
}

}  // namespace

Features::Features()
    : subgroups(structure<VkPhysicalDeviceSubgroupSizeControlFeatures>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES)),
      vulkan12(structure<VkPhysicalDeviceVulkan12Features>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                                           &subgroups)),
      vulkan11(structure<VkPhysicalDeviceVulkan11Features>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
                                                           &vulkan12)),
      core(structure<VkPhysicalDeviceFeatures2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, &vulkan11)) {}

Subgroups reliable_subgroups(const SubgroupSupport& support) {
  if (!support.shuffles || !support.full) return {};
  if (support.smallest == support.largest) return {support.smallest, false};
  if (!support.sized) return {};
  // the usual size, or the one nearest to it that a shader is made for
  const uint32_t least = std::max(support.smallest, 8u), most = std::min(support.largest, 64u);
  return least <= most ? Subgroups{std::clamp(support.usual, least, most), true} : Subgroups{};
}

bool has_extension(VkPhysicalDevice handle, std::string_view name) {
  uint32_t count = 0;
  check(vkEnumerateDeviceExtensionProperties(handle, nullptr, &count, nullptr), "vkEnumerateDeviceExtensionProperties");
  std::vector<VkExtensionProperties> extensions(count);
  check(vkEnumerateDeviceExtensionProperties(handle, nullptr, &count, extensions.data()),
        "vkEnumerateDeviceExtensionProperties");
  return std::any_of(extensions.begin(), extensions.end(),
                     [&](const VkExtensionProperties& extension) { return extension.extensionName == name; });
}

void require_features(Features& features, const PhysicalDevice& device) {
  for (const Need& need : kNeeds) need.flag(features) = VK_TRUE;
  if (device.subgroups.size == 0) features.vulkan12.pNext = nullptr;
  features.subgroups.computeFullSubgroups = VK_TRUE;
  features.subgroups.subgroupSizeControl = device.subgroups.requested;
}

uint64_t free_device_memory(const VkPhysicalDeviceMemoryProperties& memory,
                            const VkPhysicalDeviceMemoryBudgetPropertiesEXT* budget) {
  const uint32_t heap = arena_heap(memory);
  const uint64_t size = memory.memoryHeaps[heap].size;
  if (budget == nullptr) return size;
  const uint64_t may_take = std::min<uint64_t>(size, budget->heapBudget[heap]);
  return may_take - std::min<uint64_t>(may_take, budget->heapUsage[heap]);
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
  Features features;
  vkGetPhysicalDeviceFeatures2(handle, &features.core);
  if (std::string missing = missing_features(features); !missing.empty()) return missing;

  device.kind = kind_of(device.properties.deviceType);
  if (!find_queue_family(device)) return "a queue that computes";
  examine_limits(device, features.subgroups);
  examine_memory(device);
  device.portable = environment_flag("TANDEM_VULKAN_PORTABLE");
  device.maps_device_memory = device.kind != DeviceInfo::Kind::discrete && !device.portable;
  return "";
}

}  // namespace tandem::vulkan
