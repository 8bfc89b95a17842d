#include "backends/cuda/kernel_list.h"

#include <algorithm>
#include <vector>

#include "backends/cuda/device.h"

// CUDA's runtime keeps no list of a program's kernels that could be asked for. nvcc's code registers each of them
// before main; the linker hands these calls over (--wrap), and here they are noted on their way.
namespace {

std::vector<const void*>& registered() {
  static std::vector<const void*> kernels;
  return kernels;
}

}  // namespace

#define REGISTER(name)                                                                                    \
  void name(void** module, const char* kernel, char* device_kernel, const char* device_name, int threads, \
            uint3* thread, uint3* block, dim3* block_size, dim3* grid_size, int* warp_size)

extern "C" REGISTER(__real___cudaRegisterFunction);
extern "C" REGISTER(__wrap___cudaRegisterFunction) {
  registered().push_back(kernel);
  __real___cudaRegisterFunction(module, kernel, device_kernel, device_name, threads, thread, block, block_size,
                                grid_size, warp_size);
}

namespace tandem::cuda {

uint64_t load_kernels(Device& device) {
  device.make_current();
  uint64_t local = 0;
  TANDEM_CHECK(!registered().empty(), "no kernel was registered: is the module linked with --wrap?");
  for (const void* kernel : registered()) {
    cudaFuncAttributes attributes{};
    const cudaError_t result = cudaFuncGetAttributes(&attributes, kernel);
    if (result == cudaErrorNoKernelImageForDevice || result == cudaErrorInvalidDeviceFunction) {
      (void)cudaGetLastError();  // A variant for other devices.
      continue;
    }
    device.check_device(result, "cudaFuncGetAttributes");
    local = std::max<uint64_t>(local, attributes.localSizeBytes);
  }
  const cudaDeviceProp& properties = device.properties();
  return local * uint64_t(properties.multiProcessorCount) * uint64_t(properties.maxThreadsPerMultiProcessor);
}

}  // namespace tandem::cuda
