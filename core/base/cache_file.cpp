#include "core/base/cache_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/base/message.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;

// Empty when neither variable is set.
fs::path path_of(const std::string& name) {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  if (cache != nullptr && *cache == '/') return fs::path(cache) / "tandem" / name;
  if (home != nullptr && *home == '/') return fs::path(home) / ".cache" / "tandem" / name;
  return {};
}

}  // namespace

std::vector<std::byte> read_cache_file(const std::string& name) {
  std::ifstream file(path_of(name), std::ios::binary | std::ios::ate);
  if (!file) return {};
  std::vector<std::byte> data(size_t(file.tellg()));
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(data.data()), std::streamsize(data.size()))) return {};
  return data;
}

void write_cache_file(const std::string& name, std::span<const std::byte> data) {
  const fs::path path = path_of(name);
  if (path.empty()) return;
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
  write_message(fmt::format("tandem: the cache file {} was not written: {}\n", path.string(), error.message()));
  fs::remove(beside, error);
}

}  // namespace tandem
