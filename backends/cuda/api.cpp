#include "backends/cuda/api.h"

namespace tandem::cuda {

void check(cudaError_t result, std::string_view call) {
  if (result == cudaSuccess) return;
  (void)cudaGetLastError();  // one that is not sticky must not be found again by the next call
  if (result == cudaErrorMemoryAllocation)
    fail(Exit::does_not_fit, "cuda",
         "{}: the device has no such memory left; lower memory.device or batch.micro_batch, or end other programs "
         "that use it",
         call);
  fail(Exit::device, "cuda", "{}: {} ({})", call, cudaGetErrorString(result), cudaGetErrorName(result));
}

void check(cublasStatus_t result, std::string_view call) {
  if (result != CUBLAS_STATUS_SUCCESS) fail(Exit::device, "cuda", "{}: {}", call, cublasLtGetStatusString(result));
}

OwnedEvent make_event(bool timed) {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, timed ? cudaEventDefault : cudaEventDisableTiming), "cudaEventCreate");
  return OwnedEvent(event);
}

}  // namespace tandem::cuda
