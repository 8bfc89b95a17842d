// Opens the module; linked into the programs in its place.
#include <filesystem>

#include "backends/cuda/cuda.h"
#include "backends/cuda/module.h"

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
  const OpenedModule opened = open_module(path, kCudaModuleBuild, kCudaModuleEntry);
  if (opened.entry == nullptr) return {nullptr, opened.missing};
  return {&reinterpret_cast<CudaModuleEntry>(opened.entry)(), {}};
}

BackendFactory cuda_backend() {
  return {.name = "cuda", .devices = devices, .open = open, .rank = 0};
}

}  // namespace tandem
