#include "backends/vulkan/pipeline_file.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace tandem::vulkan {
namespace {

namespace fs = std::filesystem;

// Empty when neither variable is set.
fs::path file_of(const VkPhysicalDeviceProperties& device) {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  fs::path folder;
  if (cache != nullptr && *cache == '/') folder = cache;
  else if (home != nullptr && *home == '/') folder = fs::path(home) / ".cache";
  else return {};
  std::string uuid;
  for (uint8_t byte : device.pipelineCacheUUID) uuid += fmt::format("{:02x}", byte);
  return folder / "tandem" / fmt::format("vulkan-{}-{}.bin", uuid, device.driverVersion);
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
  std::ifstream file(file_of(device), std::ios::binary | std::ios::ate);
  if (!file) return {};
  std::vector<std::byte> data(size_t(file.tellg()));
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(data.data()), std::streamsize(data.size()))) return {};
  return belongs_to(device, data) ? data : std::vector<std::byte>{};
}

void write_pipeline_file(const VkPhysicalDeviceProperties& device, std::span<const std::byte> data) {
  const fs::path path = file_of(device);
  if (path.empty() || data.size() <= sizeof(VkPipelineCacheHeaderVersionOne)) return;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  const fs::path beside = fmt::format("{}.{}", path.string(), getpid());
  {
    std::ofstream file(beside, std::ios::binary);
    file.write(reinterpret_cast<const char*>(data.data()), std::streamsize(data.size()));
    if (!file.flush()) error = std::make_error_code(std::errc::io_error);
  }
  if (!error) fs::rename(beside, path, error);
  if (!error) return;
  fmt::print(stderr, "tandem: the Vulkan pipeline cache {} was not written: {}\n", path.string(), error.message());
  fs::remove(beside, error);
}

}  // namespace tandem::vulkan
