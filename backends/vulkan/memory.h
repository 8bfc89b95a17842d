// An arena's memory: one buffer, mapped where the host can see it, else reached through a staging buffer.
#pragma once

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

// Host reads and writes. Of a host arena: at once, the caller has waited for what they must follow.
// Of a device arena: after all that was submitted before.
class Transfer {
 public:
  explicit Transfer(std::shared_ptr<Device> device) : device_(std::move(device)) {}

  void write(ArenaMemory& memory, uint64_t offset, std::span<const std::byte> bytes);
  void read(const ArenaMemory& memory, uint64_t offset, std::span<std::byte> bytes);

 private:
  void wait_if_device(const ArenaMemory& memory);
  void prepare_staging();
  void copy(VkBuffer from, uint64_t from_offset, VkBuffer to, uint64_t to_offset, uint64_t bytes);

  std::shared_ptr<Device> device_;
  Allocation staging_;
  OwnedCommandPool pool_;
  VkCommandBuffer commands_ = nullptr;
};

}  // namespace tandem::vulkan
