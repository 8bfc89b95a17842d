#include "core/base/data_path.h"

#include <filesystem>

#include "core/base/file.h"
#include "core/base/places.h"

namespace tandem {

namespace fs = std::filesystem;

DataPlaces data_places() {
  std::error_code error;
  return {.current = ".",
          .executable = fs::read_symlink("/proc/self/exe", error).string(),
          .data = TANDEM_DATA_DIRECTORY,
          .build_root = TANDEM_BUILD_ROOT,
          .source_root = TANDEM_SOURCE_ROOT};
}

std::vector<std::string> data_directories(const std::string& kind, const DataPlaces& places) {
  const fs::path current(places.current), executable(places.executable), data(places.data);
  std::vector<fs::path> found{current == "." ? fs::path("configs") / kind : current / "configs" / kind};
  if (!executable.empty()) found.push_back(executable.parent_path().parent_path() / "share/tandem" / kind);
  found.push_back(data / kind);
  if (!executable.empty() && is_inside(executable, places.build_root))
    found.push_back(fs::path(places.source_root) / "configs" / kind);
  std::vector<std::string> directories;
  directories.reserve(found.size());
  for (const fs::path& path : found) directories.push_back(path.string());
  return directories;
}

}  // namespace tandem
