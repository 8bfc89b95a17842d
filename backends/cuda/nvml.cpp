#include "backends/cuda/nvml.h"

#include <dlfcn.h>

#include <memory>

#include "backends/cuda/api.h"

namespace tandem::cuda {
namespace {

struct Memory {  // nvmlMemory_t
  unsigned long long total = 0, free = 0, used = 0;
};

struct Close {
  void operator()(void* library) const { (void)dlclose(library); }
};

}  // namespace

std::optional<uint64_t> free_by_nvml(int device) {
  char bus[32] = {};
  if (cudaDeviceGetPCIBusId(bus, sizeof(bus), device) != cudaSuccess) return (void)cudaGetLastError(), std::nullopt;
  const std::unique_ptr<void, Close> library(dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL));
  if (!library) return {};
  const auto symbol = [&](const char* name) { return dlsym(library.get(), name); };
  const auto init = reinterpret_cast<int (*)()>(symbol("nvmlInit_v2"));
  const auto shutdown = reinterpret_cast<int (*)()>(symbol("nvmlShutdown"));
  const auto find = reinterpret_cast<int (*)(const char*, void**)>(symbol("nvmlDeviceGetHandleByPciBusId_v2"));
  const auto read = reinterpret_cast<int (*)(void*, Memory*)>(symbol("nvmlDeviceGetMemoryInfo"));
  if (init == nullptr || shutdown == nullptr || find == nullptr || read == nullptr || init() != 0) return {};
  void* handle = nullptr;
  Memory memory;
  const bool known = find(bus, &handle) == 0 && read(handle, &memory) == 0;
  (void)shutdown();
  return known ? std::optional<uint64_t>(memory.free) : std::nullopt;
}

}  // namespace tandem::cuda
