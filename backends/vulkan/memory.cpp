#include "backends/vulkan/memory.h"

#include <algorithm>

#include "backends/common/memory.h"
#include "core/base/system_memory.h"

namespace tandem::vulkan {
namespace {

constexpr VkBufferUsageFlags kTransferUsage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
constexpr VkBufferUsageFlags kArenaUsage =
    VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_STORAGE_TEXEL_BUFFER_BIT | kTransferUsage;
constexpr VkMemoryPropertyFlags kHost = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;

// A software device takes more than there is, and the system kills the process when the pages are touched.
void check_system_memory(const Device& device, std::string_view name, uint64_t bytes) {
  const uint64_t at_start = device.physical().free_bytes, now = available_system_memory();
  const uint64_t left = std::min(now, at_start - std::min(at_start, device.allocated));
  if (bytes > left)
    fail(Exit::does_not_fit, "vulkan",
         "arena {} takes {} bytes, but the system has {} left for this software device; "
         "lower memory.device or batch.micro_batch",
         name, bytes, left);
}

// what: for the error
Allocation allocate(Device& device, std::string_view what, uint64_t bytes, VkBufferUsageFlags usage,
                    VkMemoryPropertyFlags required, VkMemoryPropertyFlags preferred) {
  Allocation made;
  auto info = structure<VkBufferCreateInfo>(VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO);
  info.size = bytes;
  info.usage = usage;
  made.buffer = create<OwnedBuffer>(device.handle(), vkCreateBuffer, info, "vkCreateBuffer");

  VkMemoryRequirements needs;
  vkGetBufferMemoryRequirements(device.handle(), made.buffer.get(), &needs);
  auto allocation = structure<VkMemoryAllocateInfo>(VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO);
  allocation.allocationSize = needs.size;
  allocation.memoryTypeIndex = device.memory_type(needs.memoryTypeBits, required, preferred);
  VkDeviceMemory memory = nullptr;
  const VkResult result = vkAllocateMemory(device.handle(), &allocation, nullptr, &memory);
  made.memory = OwnedDeviceMemory(device.handle(), memory);
  if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY)
    fail_device_memory("vulkan", what, needs.size);
  device.check_device(result, "vkAllocateMemory");
  device.check_device(vkBindBufferMemory(device.handle(), made.buffer.get(), memory, 0), "vkBindBufferMemory");
  made.type = allocation.memoryTypeIndex;
  return made;
}

// Stays unmapped when the type of its memory cannot be.
void map(Device& device, Allocation& allocation) {
  if ((device.physical().memory.memoryTypes[allocation.type].propertyFlags & kHost) != kHost) return;
  void* address = nullptr;
  device.check_device(vkMapMemory(device.handle(), allocation.memory.get(), 0, VK_WHOLE_SIZE, 0, &address),
                      "vkMapMemory");
  allocation.mapped = static_cast<std::byte*>(address);
}

}  // namespace

ArenaMemory::ArenaMemory(std::shared_ptr<Device> device, const Arena& arena)
    : device_(std::move(device)), arena_(arena) {
  constexpr uint64_t kGranule = 256;  // accesses round up to whole vectors
  const uint64_t bytes = std::max(kGranule, (arena.bytes + kGranule - 1) / kGranule * kGranule);
  const PhysicalDevice& physical = device_->physical();
  if (bytes > physical.largest_allocation)
    fail(Exit::does_not_fit, "vulkan", "arena {} takes {} bytes, but {} allocates at most {} at once", arena.name,
         bytes, physical.properties.deviceName, physical.largest_allocation);
  if (physical.software()) check_system_memory(*device_, arena.name, bytes);

  const bool host = arena.kind == ArenaKind::host, mapped = host || physical.maps_device_memory;
  const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  const std::string what = fmt::format("arena {}", arena.name);
  if (host) allocation_ = allocate(*device_, what, bytes, kArenaUsage, kHost, VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
  else allocation_ = allocate(*device_, what, bytes, kArenaUsage, local, mapped ? kHost : 0);
  if (mapped) map(*device_, allocation_);
  device_->check_validation();
  device_->allocated += arena.bytes;
}

// A write that nothing has read or run behind may still be on its way.
ArenaMemory::~ArenaMemory() {
  device_->wait_idle();
  device_->allocated -= arena_.bytes;
}

Transfer::~Transfer() {
  if (pool_.get() != VK_NULL_HANDLE) device_->wait_idle();
}

void Transfer::prepare() {
  if (pool_.get() != VK_NULL_HANDLE) return;
  pool_ = device_->make_command_pool();
  for (Buffer& buffer : buffers_) {
    buffer.allocation = allocate(*device_, "a staging buffer", kStagingBytes, kTransferUsage, kHost,
                                 VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
    map(*device_, buffer.allocation);
    buffer.commands = device_->allocate_commands(pool_.get());
  }
}

std::span<std::byte> Transfer::wait(size_t buffer) {
  device_->wait(buffers_[buffer].copied);
  return {buffers_[buffer].allocation.mapped, kStagingBytes};
}

void Transfer::copy_in(size_t buffer, Memory& memory, uint64_t offset, uint64_t bytes) {
  copy(buffers_[buffer], buffers_[buffer].allocation.buffer.get(), dynamic_cast<ArenaMemory&>(memory).buffer(),
       {0, offset, bytes});
}

void Transfer::copy_out(size_t buffer, const Memory& memory, uint64_t offset, uint64_t bytes) {
  copy(buffers_[buffer], dynamic_cast<const ArenaMemory&>(memory).buffer(), buffers_[buffer].allocation.buffer.get(),
       {offset, 0, bytes});
}

void Transfer::copy(Buffer& buffer, VkBuffer from, VkBuffer to, const VkBufferCopy& region) {
  device_->wait(buffer.copied);  // its commands are recorded anew
  device_->begin_commands(buffer.commands, VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT);
  vkCmdCopyBuffer(buffer.commands, from, to, 1, &region);
  device_->end_commands(buffer.commands);
  buffer.copied = device_->submit(buffer.commands);
}

std::byte* Transfer::seen(const ArenaMemory& memory, uint64_t offset) {
  if (memory.mapped() == nullptr) return nullptr;
  if (memory.arena().kind == ArenaKind::device) device_->wait(device_->submitted());
  return memory.mapped() + offset;
}

void Transfer::write(ArenaMemory& memory, uint64_t offset, std::span<const std::byte> bytes) {
  check_range(memory.arena(), offset, bytes.size());
  if (std::byte* const at = seen(memory, offset)) std::ranges::copy(bytes, at);
  else write_staged(*this, memory, offset, bytes);
}

void Transfer::read(const ArenaMemory& memory, uint64_t offset, std::span<std::byte> bytes) {
  check_range(memory.arena(), offset, bytes.size());
  if (const std::byte* const at = seen(memory, offset)) std::copy_n(at, bytes.size(), bytes.begin());
  else read_staged(*this, memory, offset, bytes);
}

}  // namespace tandem::vulkan
