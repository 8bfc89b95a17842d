// The backends that the op cases and the verifier's tests run on.
#include "core/runtime/backend.h"
#include "tests/support/cuda_host/backend.h"
#include "tests/support/op_case.h"

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

}  // namespace tandem::test
