#include "backends/vulkan/memory.h"

#include <algorithm>

#include "core/base/system_memory.h"

namespace tandem::vulkan {
namespace {

constexpr uint64_t kStagingBytes = 16 << 20;
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

void check_range(const ArenaMemory& memory, uint64_t offset, uint64_t bytes) {
  TANDEM_CHECK(offset <= memory.arena().bytes && bytes <= memory.arena().bytes - offset,
               "bytes {}+{} of arena {}, which has {}", offset, bytes, memory.arena().name, memory.arena().bytes);
}

// name: for the error
Allocation allocate(Device& device, std::string_view name, uint64_t bytes, VkBufferUsageFlags usage,
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
    fail(Exit::does_not_fit, "vulkan",
         "arena {} takes {} bytes, which the device does not have left; lower "
         "memory.device or batch.micro_batch, or end other programs that use it",
         name, needs.size);
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
  if (host) allocation_ = allocate(*device_, arena.name, bytes, kArenaUsage, kHost, VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
  else allocation_ = allocate(*device_, arena.name, bytes, kArenaUsage, local, mapped ? kHost : 0);
  if (mapped) map(*device_, allocation_);
  device_->check_validation();
  device_->allocated += arena.bytes;
}

ArenaMemory::~ArenaMemory() {
  device_->allocated -= arena_.bytes;
}

void Transfer::wait_if_device(const ArenaMemory& memory) {
  if (memory.arena().kind == ArenaKind::device) device_->wait(device_->submitted());
}

void Transfer::prepare_staging() {
  if (commands_ != nullptr) return;
  staging_ = allocate(*device_, "of the staging buffer", kStagingBytes, kTransferUsage, kHost,
                      VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
  map(*device_, staging_);
  pool_ = device_->make_command_pool();
  commands_ = device_->allocate_commands(pool_.get());
}

// Submits a copy and waits for it.
void Transfer::copy(VkBuffer from, uint64_t from_offset, VkBuffer to, uint64_t to_offset, uint64_t bytes) {
  device_->begin_commands(commands_, VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT);
  const VkBufferCopy region{from_offset, to_offset, bytes};
  vkCmdCopyBuffer(commands_, from, to, 1, &region);
  device_->end_commands(commands_);
  device_->wait(device_->submit(commands_));
}

void Transfer::write(ArenaMemory& memory, uint64_t offset, std::span<const std::byte> bytes) {
  check_range(memory, offset, bytes.size());
  wait_if_device(memory);
  if (memory.mapped() != nullptr) {
    std::copy(bytes.begin(), bytes.end(), memory.mapped() + offset);
    return;
  }
  prepare_staging();
  for (uint64_t at = 0; at < bytes.size(); at += kStagingBytes) {
    const auto piece = bytes.subspan(at, std::min(kStagingBytes, bytes.size() - at));
    std::copy(piece.begin(), piece.end(), staging_.mapped);
    copy(staging_.buffer.get(), 0, memory.buffer(), offset + at, piece.size());
  }
}

void Transfer::read(const ArenaMemory& memory, uint64_t offset, std::span<std::byte> bytes) {
  check_range(memory, offset, bytes.size());
  wait_if_device(memory);
  if (memory.mapped() != nullptr) {
    std::copy_n(memory.mapped() + offset, bytes.size(), bytes.begin());
    return;
  }
  prepare_staging();
  for (uint64_t at = 0; at < bytes.size(); at += kStagingBytes) {
    const auto piece = bytes.subspan(at, std::min(kStagingBytes, bytes.size() - at));
    copy(memory.buffer(), offset + at, staging_.buffer.get(), 0, piece.size());
    std::copy_n(staging_.mapped, piece.size(), piece.begin());
  }
}

}  // namespace tandem::vulkan
