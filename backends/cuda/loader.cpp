// Opens the module; linked into the programs in its place.
#include <dlfcn.h>

#include <filesystem>

#include "backends/cuda/cuda.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;

struct Module {
  const BackendFactory* factory = nullptr;
  std::string missing;
};

Module open_module() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* folder : {".", "../lib/tandem", "../backends/cuda"}) {
    const fs::path path = program / folder / "libtandem-cuda.so";
    if (!fs::exists(path, error)) continue;
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return {nullptr, fmt::format("its module does not open: {}", dlerror())};
    const auto entry = reinterpret_cast<CudaModuleEntry>(dlsym(handle, kCudaModuleEntry));
    if (entry == nullptr) return {nullptr, fmt::format("{} is not a module of this program", path.string())};
    return {&entry(), {}};
  }
  return {nullptr, "its module libtandem-cuda.so is not beside the program; configure with -Dcuda=enabled"};
}

const Module& module() {
  static const Module opened = open_module();  // stays open
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

BackendFactory cuda_backend() {
  return {"cuda", devices, open};
}

}  // namespace tandem
