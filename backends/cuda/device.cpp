#include "backends/cuda/device.h"

namespace tandem::cuda {

Device::Device(uint32_t index) : index_(index) {
  make_current();
  check(cudaGetDeviceProperties(&properties_, int(index)), "cudaGetDeviceProperties");
  for (uint32_t queue = 0; queue < kQueues; ++queue) {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
    streams_.emplace_back(stream);
  }
  cublasLtHandle_t blas = nullptr;
  check(cublasLtCreate(&blas), "cublasLtCreate");
  blas_ = OwnedLt(blas);
  constexpr float kOnes[] = {1.0f, 1.0f};
  void* ones = nullptr;
  check(cudaMalloc(&ones, sizeof(kOnes)), "cudaMalloc");
  ones_ = OwnedDeviceMemory(ones);
  check(cudaMemcpy(ones, kOnes, sizeof(kOnes), cudaMemcpyHostToDevice), "cudaMemcpy");
}

Device::~Device() {
  (void)cudaSetDevice(int(index_));
  (void)cudaDeviceSynchronize();
}

void Device::make_current() {
  check_device(cudaSetDevice(int(index_)), "cudaSetDevice");
}

void Device::check_device(cudaError_t result, std::string_view call) {
  if (!failure_.empty()) throw Error(Exit::device, failure_);
  if (result == cudaSuccess) return;
  try {
    check(result, call);
  } catch (const Error& error) {
    if (error.exit() == Exit::device)
      failure_ = fmt::format("{}; TANDEM_CUDA_SYNCHRONOUS=1 finds the instruction", error.what());
    throw;
  }
}

Timepoint Device::mark() {
  OwnedEvent event;
  if (unused_.empty()) {
    event = make_event();
  } else {
    event = std::move(unused_.back());
    unused_.pop_back();
  }
  check_device(cudaEventRecord(event.get(), stream(0)), "cudaEventRecord");
  marks_.push_back({++counter_, std::move(event)});
  return {counter_};
}

void Device::wait(Timepoint timepoint) {
  make_current();
  while (!marks_.empty() && marks_.front().value <= timepoint.value) {
    check_device(cudaEventSynchronize(marks_.front().event.get()), "cudaEventSynchronize");
    unused_.push_back(std::move(marks_.front().event));
    marks_.pop_front();
  }
}

}  // namespace tandem::cuda
