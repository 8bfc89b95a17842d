// CUDA's and cuBLASLt's headers, their results checked, their handles owned.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <memory>

#include "core/runtime/watchdog.h"

namespace tandem::cuda {

// Exit::does_not_fit for memory that there is not, else Exit::device
void check(cudaError_t result, std::string_view call);
void check(cublasStatus_t result, std::string_view call);

// Owns what Destroy destroys. What was made on a device that hangs is left to the end of the process: destroying it
// would wait for the device.
template <typename Handle, auto Destroy>
struct Deleter {
  using pointer = Handle;
  void operator()(Handle handle) const {
    if (!device_hangs()) (void)Destroy(handle);  // a device that failed fails here too
  }
};
template <typename Handle, auto Destroy>
using Owned = std::unique_ptr<Handle, Deleter<Handle, Destroy>>;

using OwnedStream = Owned<cudaStream_t, cudaStreamDestroy>;
using OwnedEvent = Owned<cudaEvent_t, cudaEventDestroy>;
using OwnedGraph = Owned<cudaGraph_t, cudaGraphDestroy>;
using OwnedGraphExec = Owned<cudaGraphExec_t, cudaGraphExecDestroy>;
using OwnedDeviceMemory = Owned<void*, cudaFree>;
using OwnedLt = Owned<cublasLtHandle_t, cublasLtDestroy>;
using OwnedMatmul = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using OwnedLayout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using OwnedPreference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

OwnedEvent make_event(bool timed = false);

}  // namespace tandem::cuda
