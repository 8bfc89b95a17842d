// An open device: its streams, its timeline, its first failure. Everything made on it holds a shared pointer to it.
// One thread at a time.
#pragma once

#include <deque>
#include <vector>

#include "backends/cuda/api.h"
#include "backends/cuda/communicator.h"
#include "core/runtime/backend.h"
#include "core/runtime/watchdog.h"

namespace tandem::cuda {

constexpr QueueSet kQueues{Queue::compute, Queue::in, Queue::out};  // and Queue::exchange, once ranks have joined

class Device {
 public:
  explicit Device(uint32_t index);  // among CUDA's; Exit::device; with its context, which takes memory
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const cudaDeviceProp& properties() const { return properties_; }
  bool has_fp8() const { return properties_.major > 8 || (properties_.major == 8 && properties_.minor >= 9); }
  QueueSet queues() const { return queues_; }
  // queue: one of queues()
  cudaStream_t stream(Queue queue = Queue::compute) const { return streams_[size_t(queue)].get(); }
  cublasLtHandle_t blas() const { return blas_.get(); }
  const float* ones() const { return static_cast<const float*>(factors_.get()); }  // (2), on the device
  const float* one_and_zero() const { return ones() + 1; }                         // (2), on the device

  uint32_t index() const { return index_; }
  std::string bus_id() const;

  // From here on it is one rank's: it has a queue for exchanges, and waits end when a peer fails.
  void join(std::unique_ptr<Communicator> communicator);
  Communicator* communicator() const { return communicator_.get(); }  // null: it works alone

  void make_current();  // for the calling thread; throws an earlier failure again
  // What comes back is reached when all on the compute queue so far is done.
  Timepoint mark();
  void wait(Timepoint timepoint);
  // TANDEM_DEVICE_TIMEOUT at most; at: what the device is at, for messages
  void wait(cudaEvent_t event, std::string_view at = "");
  void wait_all(std::string_view at = "");         // for all on every queue, as long
  void wait_idle() noexcept;                       // for destructors; an idle device may be a failed one
  Timepoint marked() const { return {counter_}; }  // the last one
  void record(const OwnedEvent& event, cudaStream_t stream);
  double seconds_between(const OwnedEvent& start, const OwnedEvent& end);  // both timed, and done
  // A failure of the device is thrown again by every later call.
  void check_device(cudaError_t result, std::string_view call);
  void check_device(cublasStatus_t result, std::string_view call);

  uint64_t free_bytes();  // on the device now

  uint64_t allocated = 0;  // bytes of device memory in arenas

 private:
  void open_queue(Queue queue);
  template <typename Check>
  void remember(const Check& check_result);  // what it throws of the device, for every later call

  uint32_t index_;
  cudaDeviceProp properties_{};
  QueueSet queues_;
  std::array<OwnedStream, kQueueCount> streams_;
  OwnedLt blas_;
  OwnedDeviceMemory factors_;
  struct Mark {
    uint64_t value;
    OwnedEvent event;
  };
  std::deque<Mark> marks_;  // not known to be reached, in order
  std::vector<OwnedEvent> unused_;
  OwnedEvent all_;  // for wait_all
  const Seconds timeout_ = device_timeout();
  uint64_t counter_ = 0;
  std::string failure_;
  DevicePointer<Communicator> communicator_;
};

}  // namespace tandem::cuda
