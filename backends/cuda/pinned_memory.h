// Page-locked host memory.
#pragma once

#include <future>

#include "backends/cuda/device.h"

namespace tandem::cuda {

// Zeros at first; the device reads and writes it at the same address. cudaHostAlloc makes pages on one processor, 1.6
// to 2.3 GB/s on an H200's host; huge pages that all processors touch are registered at 22. They are touched while the
// caller goes on: neither the host nor the device reads or writes the memory before finish().
class PinnedMemory {
 public:
  PinnedMemory() = default;
  // what: for errors. Exit::does_not_fit where the system has less.
  PinnedMemory(Device& device, uint64_t bytes, std::string what);
  PinnedMemory(PinnedMemory&& other) noexcept { swap(other); }
  PinnedMemory& operator=(PinnedMemory&& other) noexcept { return swap(other), *this; }
  ~PinnedMemory();

  void finish(Device& device);  // the second time it does nothing

  std::byte* data() const { return data_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  void swap(PinnedMemory& other) noexcept;

  void* mapping_ = nullptr;  // null: data_ is the driver's
  uint64_t mapping_bytes_ = 0, bytes_ = 0;
  std::byte* data_ = nullptr;
  std::string what_;
  std::future<void> touching_;  // not valid: done, or data_ is the driver's
};

}  // namespace tandem::cuda
