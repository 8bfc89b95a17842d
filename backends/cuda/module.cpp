#include "backends/cuda/module.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "core/build_id.h"

namespace tandem {

OpenedModule open_module(const std::string& path, const char* build, const char* entry) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return {nullptr, fmt::format("its module does not open: {}", dlerror())};
  const auto tells_build = reinterpret_cast<const char* (*)()>(dlsym(handle, build));
  void* const found = dlsym(handle, entry);
  if (found == nullptr || tells_build == nullptr)
    return {nullptr, fmt::format("{} is not a module of this program", path)};
  if (std::string_view(tells_build()) != kBuildId)
    return {nullptr, fmt::format("{} is of build {}, but this program is of build {}; build or install both together",
                                 path, tells_build(), kBuildId)};
  return {found, {}};
}

}  // namespace tandem
