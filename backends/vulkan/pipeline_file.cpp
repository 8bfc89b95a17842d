#include "backends/vulkan/pipeline_file.h"

#include <cstring>

#include "core/base/cache_file.h"

namespace tandem::vulkan {
namespace {

std::string file_of(const VkPhysicalDeviceProperties& device) {
  std::string uuid;
  for (uint8_t byte : device.pipelineCacheUUID) uuid += fmt::format("{:02x}", byte);
  return fmt::format("vulkan-{}-{}.bin", uuid, device.driverVersion);
}

// A driver may crash on data that is not its own.
bool belongs_to(const VkPhysicalDeviceProperties& device, std::span<const std::byte> data) {
  VkPipelineCacheHeaderVersionOne header;
  if (data.size() < sizeof(header)) return false;
  std::memcpy(&header, data.data(), sizeof(header));
  return header.headerSize == sizeof(header) && header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
         header.vendorID == device.vendorID && header.deviceID == device.deviceID &&
         std::memcmp(header.pipelineCacheUUID, device.pipelineCacheUUID, VK_UUID_SIZE) == 0;
}

}  // namespace

std::vector<std::byte> read_pipeline_file(const VkPhysicalDeviceProperties& device) {
  std::vector<std::byte> data = read_cache_file(file_of(device));
  return belongs_to(device, data) ? data : std::vector<std::byte>{};
}

void write_pipeline_file(const VkPhysicalDeviceProperties& device, std::span<const std::byte> data) {
  if (data.size() > sizeof(VkPipelineCacheHeaderVersionOne)) write_cache_file(file_of(device), data);
}

}  // namespace tandem::vulkan
