#include <map>

#include "tests/support/cuda_host/backend.h"
#include "tests/support/executors.h"
#include "tests/support/host_backend.h"

#ifdef TANDEM_CUDA
#include "backends/cuda/cuda.h"
#endif
#ifdef TANDEM_VULKAN
#include "backends/vulkan/vulkan.h"
#endif

namespace tandem::test {

std::vector<BackendFactory> test_backends() {
  std::vector<BackendFactory> factories = {cuda_host_backend()};
#ifdef TANDEM_CUDA
  factories.push_back(cuda_backend());
#endif
#ifdef TANDEM_VULKAN
  factories.push_back(vulkan_backend());
#endif
  return factories;
}

Backend& executor(std::string_view name) {
  // never closed: a driver may be gone before static objects are
  static auto& opened = *new std::map<std::string, std::unique_ptr<Backend>, std::less<>>;
  if (const auto found = opened.find(name); found != opened.end()) return *found->second;
  std::vector<BackendFactory> factories = test_backends();
  factories.push_back(host_backend());
  for (const BackendFactory& f : factories) {
    if (f.name != name) continue;
    const DeviceList list = f.devices();
    if (list.devices.empty()) fail(Exit::device, name, "no device: {}", list.missing);
    return *(opened[f.name] = f.open(list.devices[0].index));
  }
  fail(Exit::internal, "tests", "executor {} is not linked", name);
}

}  // namespace tandem::test
