// An arena's memory: one buffer, mapped where the host can see it, else reached through a staging buffer.
#pragma once

#include "backends/common/transfer.h"
#include "backends/vulkan/device.h"

namespace tandem::vulkan {

// A buffer on memory of its own.
struct Allocation {
  OwnedDeviceMemory memory;
  OwnedBuffer buffer;           // destroyed before its memory
  uint32_t type = 0;            // the memory's
  std::byte* mapped = nullptr;  // null: the host does not see it
};

class ArenaMemory : public Memory {
 public:
  ArenaMemory(std::shared_ptr<Device> device, const Arena& arena);
  ~ArenaMemory() override;

  VkBuffer buffer() const { return allocation_.buffer.get(); }
  std::byte* mapped() const { return allocation_.mapped; }
  const Arena& arena() const { return arena_; }

 private:
  std::shared_ptr<Device> device_;
  Arena arena_;
  Allocation allocation_;
};

// Host reads and writes. Of a host arena: at once, the caller has waited for what they must follow. Of a device arena:
// after all that was submitted before.
class Transfer : private Staging {
 public:
  explicit Transfer(std::shared_ptr<Device> device) : device_(std::move(device)) {}
  ~Transfer() override;

  void write(ArenaMemory& memory, uint64_t offset, std::span<const std::byte> bytes);
  void read(const ArenaMemory& memory, uint64_t offset, std::span<std::byte> bytes);

 private:
  struct Buffer {
    Allocation allocation;
    VkCommandBuffer commands = nullptr;
    Timepoint copied;
  };

  void prepare() override;
  std::span<std::byte> wait(size_t buffer) override;
  void copy_in(size_t buffer, Memory& memory, uint64_t offset, uint64_t bytes) override;
  void copy_out(size_t buffer, const Memory& memory, uint64_t offset, uint64_t bytes) override;
  void copy(Buffer& buffer, VkBuffer from, VkBuffer to, const VkBufferCopy& region);
  std::byte* seen(const ArenaMemory& memory, uint64_t offset);  // null: the host does not see it

  std::shared_ptr<Device> device_;
  OwnedCommandPool pool_;
  Buffer buffers_[kStagingBuffers];
};

}  // namespace tandem::vulkan
