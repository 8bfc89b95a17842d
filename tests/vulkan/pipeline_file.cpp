// The pipeline cache on disk: what comes back, and what must not. Needs no device.
#include "backends/vulkan/pipeline_file.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace tandem::vulkan {
namespace {

namespace fs = std::filesystem;

// A cache folder of its own for a scope.
class CacheFolder {
 public:
  CacheFolder() : path_(fs::temp_directory_path() / "tandem-pipeline-XXXXXX") {
    std::string name = path_.string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
    setenv("XDG_CACHE_HOME", name.c_str(), 1);
  }
  ~CacheFolder() {
    unsetenv("XDG_CACHE_HOME");
    fs::remove_all(path_);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

VkPhysicalDeviceProperties device(uint32_t id) {
  VkPhysicalDeviceProperties properties{};
  properties.vendorID = 0x10de;
  properties.deviceID = id;
  properties.driverVersion = 42;
  properties.pipelineCacheUUID[0] = 0xab;
  return properties;
}

// what a driver would give: a header for that device, and 100 bytes
std::vector<std::byte> cache_of(const VkPhysicalDeviceProperties& properties) {
  VkPipelineCacheHeaderVersionOne header{};
  header.headerSize = sizeof(header);
  header.headerVersion = VK_PIPELINE_CACHE_HEADER_VERSION_ONE;
  header.vendorID = properties.vendorID;
  header.deviceID = properties.deviceID;
  std::memcpy(header.pipelineCacheUUID, properties.pipelineCacheUUID, VK_UUID_SIZE);
  std::vector<std::byte> data(sizeof(header) + 100, std::byte{7});
  std::memcpy(data.data(), &header, sizeof(header));
  return data;
}

TEST_CASE("a pipeline cache comes back, whole or not at all") {
  const CacheFolder folder;
  const auto mine = device(1);
  CHECK(read_pipeline_file(mine).empty());
  write_pipeline_file(mine, cache_of(mine));
  CHECK(read_pipeline_file(mine) == cache_of(mine));
  const fs::path file = folder.path() / "tandem" / "vulkan-ab000000000000000000000000000000-42.bin";
  CHECK(fs::exists(file));
  CHECK(std::distance(fs::directory_iterator(file.parent_path()), fs::directory_iterator()) == 1);

  CHECK(read_pipeline_file(device(2)).empty());  // the same file name, another device in the header
  fs::resize_file(file, 20);
  CHECK(read_pipeline_file(mine).empty());
}

TEST_CASE("a pipeline cache that cannot be written is no failure") {
  const CacheFolder folder;
  std::ofstream(folder.path() / "tandem") << "a file where the folder should be";
  CHECK_NOTHROW(write_pipeline_file(device(1), cache_of(device(1))));
  CHECK(read_pipeline_file(device(1)).empty());
}

}  // namespace
}  // namespace tandem::vulkan
