// Arenas, and the copies between them and the host.
#pragma once

#include "backends/common/transfer.h"
#include "backends/cuda/pinned_memory.h"

namespace tandem::cuda {

// Device arenas by one allocation each; host arenas pinned and mapped, so that kernels read them in place.
class ArenaMemory : public Memory {
 public:
  ArenaMemory(std::shared_ptr<Device> device, const Arena& arena);
  ~ArenaMemory() override;

  const Arena& arena() const { return arena_; }
  std::byte* at(uint64_t offset) const { return address_ + offset; }  // host and device call it the same
  void finish();  // before the first access: a host arena's pages are made meanwhile

 private:
  std::shared_ptr<Device> device_;
  Arena arena_;
  OwnedDeviceMemory device_memory_;
  PinnedMemory host_memory_;
  std::byte* address_ = nullptr;
};

// Host access to arenas; to a device arena behind all that was submitted, through two pinned buffers in turn.
class Transfer : private Staging {
 public:
  explicit Transfer(std::shared_ptr<Device> device) : device_(std::move(device)) {}
  void write(ArenaMemory& memory, uint64_t offset, std::span<const std::byte> bytes);
  void read(const ArenaMemory& memory, uint64_t offset, std::span<std::byte> bytes);
  void zero(ArenaMemory& memory, uint64_t offset, uint64_t bytes);
  void draw(ArenaMemory& memory, uint64_t offset, const abi::NormalDraw& values, DType dtype);
  void prepare() override;  // takes its memory, else the first write or read does

 private:
  std::span<std::byte> wait(size_t buffer) override;
  void copy_in(size_t buffer, Memory& memory, uint64_t offset, uint64_t bytes) override;
  void copy_out(size_t buffer, const Memory& memory, uint64_t offset, uint64_t bytes) override;
  void copy(size_t buffer, void* to, const void* from, uint64_t bytes, cudaMemcpyKind kind);

  struct Buffer {
    PinnedMemory memory;
    OwnedEvent copied;
  };

  std::shared_ptr<Device> device_;
  Buffer buffers_[kStagingBuffers];
};

}  // namespace tandem::cuda
