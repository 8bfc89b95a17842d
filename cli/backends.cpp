// The only place that knows which backends this build holds.
#include "cli/commands.h"

#ifdef TANDEM_CUDA
#include "backends/cuda/cuda.h"
#endif
#ifdef TANDEM_VULKAN
#include "backends/vulkan/vulkan.h"
#endif

namespace tandem::cli {

Registry linked_backends() {
  Registry registry;
#ifdef TANDEM_VULKAN
  registry.add(vulkan_backend());
#else
  registry.add_missing("vulkan", "not part of this build; configure with -Dvulkan=enabled");
#endif
#ifdef TANDEM_CUDA
  registry.add(cuda_backend());
#else
  registry.add_missing("cuda", "not part of this build; configure with -Dcuda=enabled");
#endif
  return registry;
}

}  // namespace tandem::cli
