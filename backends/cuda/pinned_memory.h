// Page-locked host memory.
#pragma once

#include "backends/cuda/device.h"

namespace tandem::cuda {

// Zeros at first; the device reads and writes it at the same address. cudaHostAlloc makes pages on one processor, 1.6
// to 2.3 GB/s on an H200's host; huge pages that all processors touch are registered at 22.
class PinnedMemory {
 public:
  PinnedMemory() = default;
  // what: for errors. Exit::does_not_fit where the system has less.
  PinnedMemory(Device& device, uint64_t bytes, std::string_view what);
  PinnedMemory(PinnedMemory&& other) noexcept { swap(other); }
  PinnedMemory& operator=(PinnedMemory&& other) noexcept { return swap(other), *this; }
  ~PinnedMemory();

  std::byte* data() const { return data_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  void swap(PinnedMemory& other) noexcept;

  void* mapping_ = nullptr;  // null: data_ is the driver's
  uint64_t mapping_bytes_ = 0;
  std::byte* data_ = nullptr;
};

}  // namespace tandem::cuda
