// Opens the module; linked into the programs in its place.
#include <dlfcn.h>

#include <filesystem>

#include "backends/cuda/cuda.h"
#include "core/build_id.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;

CudaModule find_module() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* folder : {".", "../lib/tandem", "../backends/cuda"}) {
    const fs::path path = program / folder / "libtandem-cuda.so";
    if (fs::exists(path, error)) return open_cuda_module(path.string());
  }
  return {nullptr, "its module libtandem-cuda.so is not beside the program; configure with -Dcuda=enabled"};
}

const CudaModule& module() {
  static const CudaModule opened = find_module();
  return opened;
}

DeviceList devices() {
  return module().factory != nullptr ? module().factory->devices() : DeviceList{{}, module().missing};
}

std::unique_ptr<Backend> open(uint32_t index) {
  if (module().factory == nullptr) fail(Exit::device, "cuda", "{}", module().missing);
  return module().factory->open(index);
}

}  // namespace

CudaModule open_cuda_module(const std::string& path) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return {nullptr, fmt::format("its module does not open: {}", dlerror())};
  const auto build = reinterpret_cast<CudaModuleBuild>(dlsym(handle, kCudaModuleBuild));
  const auto entry = reinterpret_cast<CudaModuleEntry>(dlsym(handle, kCudaModuleEntry));
  if (entry == nullptr || build == nullptr) return {nullptr, fmt::format("{} is not a module of this program", path)};
  if (std::string_view(build()) != kBuildId)
    return {nullptr, fmt::format("{} is of build {}, but this program is of build {}; build or install both together",
                                 path, build(), kBuildId)};
  return {&entry(), {}};
}

BackendFactory cuda_backend() {
  return {.name = "cuda", .devices = devices, .open = open, .rank = 0};
}

}  // namespace tandem
