#include "backends/cuda/device.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <thread>

namespace tandem::cuda {

Device::Device(uint32_t index) : index_(index) {
  make_current();
  check(cudaGetDeviceProperties(&properties_, int(index)), "cudaGetDeviceProperties");
  for (size_t q = 0; q < kQueueCount; ++q)
    if (kQueues.contains(Queue(q))) open_queue(Queue(q));
  cublasLtHandle_t blas = nullptr;
  check(cublasLtCreate(&blas), "cublasLtCreate");
  blas_ = OwnedLt(blas);
  constexpr float kFactors[] = {1.0f, 1.0f, 0.0f};
  void* factors = nullptr;
  check(cudaMalloc(&factors, sizeof(kFactors)), "cudaMalloc");
  factors_ = OwnedDeviceMemory(factors);
  check(cudaMemcpyAsync(factors, kFactors, sizeof(kFactors), cudaMemcpyHostToDevice, stream()), "cudaMemcpyAsync");
  all_ = make_event();
  wait_all();
}

void Device::open_queue(Queue queue) {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  streams_[size_t(queue)] = OwnedStream(stream);
  queues_.insert(queue);
}

void Device::join(std::unique_ptr<Communicator> communicator) {
  make_current();
  communicator_ = std::move(communicator);
  open_queue(Queue::exchange);
}

std::string Device::bus_id() const {
  return fmt::format("{:04x}:{:02x}:{:02x}", properties_.pciDomainID, properties_.pciBusID, properties_.pciDeviceID);
}

uint64_t Device::free_bytes() {
  make_current();
  size_t free = 0, total = 0;
  check_device(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return free;
}

Device::~Device() {
  wait_idle();
}

void Device::make_current() {
  check_device(cudaSetDevice(int(index_)), "cudaSetDevice");
}

void Device::check_device(cudaError_t result, std::string_view call) {
  remember([&] { check(result, call); });
}

void Device::check_device(cublasStatus_t result, std::string_view call) {
  remember([&] { check(result, call); });
}

template <typename Check>
void Device::remember(const Check& check_result) {
  if (!failure_.empty()) throw Error(Exit::device, failure_);
  try {
    check_result();
  } catch (const Error& error) {
    if (error.exit() == Exit::device)
      failure_ = fmt::format("{}; TANDEM_CUDA_SYNCHRONOUS=1 finds the instruction", error.what());
    throw;
  }
}

void Device::record(const OwnedEvent& event, cudaStream_t stream) {
  check_device(cudaEventRecord(event.get(), stream), "cudaEventRecord");
}

double Device::seconds_between(const OwnedEvent& start, const OwnedEvent& end) {
  float milliseconds = 0;
  check_device(cudaEventElapsedTime(&milliseconds, start.get(), end.get()), "cudaEventElapsedTime");
  return double(milliseconds) * 1e-3;
}

Timepoint Device::mark() {
  OwnedEvent event;
  if (unused_.empty()) {
    event = make_event();
  } else {
    event = std::move(unused_.back());
    unused_.pop_back();
  }
  record(event, stream());
  marks_.push_back({++counter_, std::move(event)});
  return {counter_};
}

void Device::wait(Timepoint timepoint) {
  TANDEM_CHECK(timepoint.value <= counter_, "a wait for timepoint {}, the last one is {}", timepoint.value, counter_);
  make_current();
  while (!marks_.empty() && marks_.front().value <= timepoint.value) {
    wait(marks_.front().event.get());
    unused_.push_back(std::move(marks_.front().event));
    marks_.pop_front();
  }
}

void Device::wait(cudaEvent_t event, std::string_view at) {
  if (std::isinf(timeout_.count()) && communicator_ == nullptr)
    return check_device(cudaEventSynchronize(event), at.empty() ? "cudaEventSynchronize" : at);
  const std::string name = properties_.name + (at.empty() ? "" : fmt::format(", at {}", at));
  wait_for_device(name, 1, timeout_, [&](Seconds at_most) -> uint64_t {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    cudaError_t result = cudaErrorNotReady;
    for (Seconds waited{0}; (result = cudaEventQuery(event)) == cudaErrorNotReady && waited < at_most;
         waited = Clock::now() - start)
      // copies are waited for by the hundred microseconds; longer work may be noticed a little late
      if (waited > Seconds(1e-3)) std::this_thread::sleep_for(std::clamp(waited / 16, Seconds(50e-6), Seconds(1e-3)));
      else std::this_thread::yield();
    if (result == cudaErrorNotReady) {
      (void)cudaGetLastError();  // it would be taken for a launch's
      if (communicator_ != nullptr) communicator_->check();
      return 0;
    }
    check_device(result, at.empty() ? "cudaEventQuery" : at);
    return 1;
  });
}

void Device::wait_all(std::string_view at) {
  make_current();
  for (const OwnedStream& stream : streams_) {
    if (!stream) continue;
    record(all_, stream.get());
    wait(all_.get(), at);
  }
}

void Device::wait_idle() noexcept {
  if (device_hangs()) return;
  // who leaves by an exception may be what a peer waits for, and the device for the peer
  if (communicator_ != nullptr && std::uncaught_exceptions() > 0) communicator_->abort();
  try {
    wait_all();
  } catch (const Error&) {  // reported already, by what met it first
  }
}

}  // namespace tandem::cuda
