#include "backends/vulkan/device.h"

namespace tandem::vulkan {

Device::Device(uint32_t index) {
  std::string why_not;
  const std::vector<PhysicalDevice> devices = instance_.devices(why_not);
  if (devices.empty()) fail(Exit::device, "vulkan", "no usable device: {}", why_not);
  if (index >= devices.size())
    fail(Exit::device, "vulkan", "there is no device {}, expected 0 to {}; see `tandem devices`", index,
         devices.size() - 1);
  physical_ = devices[index];
  create_device();
  vkGetDeviceQueue(handle(), physical_.queue_family, 0, &queue_);

  auto type = structure<VkSemaphoreTypeCreateInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO);
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  const auto info = structure<VkSemaphoreCreateInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &type);
  timeline_ = create<OwnedSemaphore>(handle(), vkCreateSemaphore, info, "vkCreateSemaphore");
}

void Device::create_device() {
  Features features;
  require_features(features, physical_);
  std::vector<const char*> extensions;
  if (physical_.subgroups.size != 0 && physical_.properties.apiVersion < VK_API_VERSION_1_3)
    extensions.push_back(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
  const float priority = 1.0f;
  auto queue = structure<VkDeviceQueueCreateInfo>(VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO);
  queue.queueFamilyIndex = physical_.queue_family;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  auto info = structure<VkDeviceCreateInfo>(VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &features.core);
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = uint32_t(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  VkDevice device = nullptr;
  check(vkCreateDevice(physical_.handle, &info, nullptr, &device), "vkCreateDevice");
  handle_.reset(device);
}

Device::~Device() {
  wait_idle();
}

void Device::check_device(VkResult result, std::string_view call) {
  if (result == VK_ERROR_DEVICE_LOST && failure_.empty())
    failure_ = fmt::format(
        "{} was lost in {} (VK_ERROR_DEVICE_LOST): a driver fault or its time limit; look into the system log, start "
        "again with --resume, if it stays lower batch.micro_batch or update the driver",
        physical_.properties.deviceName, call);
  if (!failure_.empty()) fail(Exit::device, "vulkan", "{}", failure_);
  check(result, call);
}

void Device::check_validation() {
  if (failure_.empty() && !instance_.validation_message().empty())
    failure_ = fmt::format("the validation layer says: {}", instance_.validation_message());
  if (!failure_.empty()) fail(Exit::device, "vulkan", "{}", failure_);
}

Timepoint Device::submit(VkCommandBuffer commands) {
  check_validation();
  const uint64_t value = counter_ + 1;
  const VkSemaphore semaphore = timeline_.get();
  auto timeline = structure<VkTimelineSemaphoreSubmitInfo>(VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO);
  timeline.signalSemaphoreValueCount = 1;
  timeline.pSignalSemaphoreValues = &value;
  auto info = structure<VkSubmitInfo>(VK_STRUCTURE_TYPE_SUBMIT_INFO, &timeline);
  info.commandBufferCount = 1;
  info.pCommandBuffers = &commands;
  info.signalSemaphoreCount = 1;
  info.pSignalSemaphores = &semaphore;
  check_device(vkQueueSubmit(queue_, 1, &info, VK_NULL_HANDLE), "vkQueueSubmit");
  counter_ = value;
  check_validation();
  return {value};
}

void Device::wait(Timepoint timepoint) {
  TANDEM_CHECK(timepoint.value <= counter_, "waiting for timepoint {} of {}", timepoint.value, counter_);
  const VkSemaphore semaphore = timeline_.get();
  auto info = structure<VkSemaphoreWaitInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO);
  info.semaphoreCount = 1;
  info.pSemaphores = &semaphore;
  info.pValues = &timepoint.value;
  wait_for_device(physical_.properties.deviceName, timepoint.value, timeout_, [&](Seconds at_most) {
    uint64_t finished = timepoint.value;
    const VkResult result = vkWaitSemaphores(handle(), &info, uint64_t(at_most.count() * 1e9));
    check_device(result, "vkWaitSemaphores");
    if (result == VK_TIMEOUT)
      check_device(vkGetSemaphoreCounterValue(handle(), semaphore, &finished), "vkGetSemaphoreCounterValue");
    return finished;
  });
  check_validation();
}

void Device::wait_idle() noexcept {
  if (device_hangs()) return;
  try {
    wait(submitted());
  } catch (const DeviceHangs&) {
    return;
  } catch (const Error&) {  // reported already, by what met it first
  }
  vkDeviceWaitIdle(handle());
}

OwnedCommandPool Device::make_command_pool() {
  auto info = structure<VkCommandPoolCreateInfo>(VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO);
  info.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  info.queueFamilyIndex = physical_.queue_family;
  return create<OwnedCommandPool>(handle(), vkCreateCommandPool, info, "vkCreateCommandPool");
}

VkCommandBuffer Device::allocate_commands(VkCommandPool pool) {
  auto info = structure<VkCommandBufferAllocateInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO);
  info.commandPool = pool;
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  VkCommandBuffer commands = nullptr;
  check_device(vkAllocateCommandBuffers(handle(), &info, &commands), "vkAllocateCommandBuffers");
  return commands;
}

void Device::begin_commands(VkCommandBuffer commands, VkCommandBufferUsageFlags usage) {
  auto info = structure<VkCommandBufferBeginInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO);
  info.flags = usage;
  check_device(vkBeginCommandBuffer(commands, &info), "vkBeginCommandBuffer");
  record_barrier(commands);  // after all that was submitted earlier
}

void Device::end_commands(VkCommandBuffer commands) {
  auto barrier = structure<VkMemoryBarrier>(VK_STRUCTURE_TYPE_MEMORY_BARRIER);
  barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_HOST_WRITE_BIT;
  vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                       VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, nullptr, 0, nullptr);
  check_device(vkEndCommandBuffer(commands), "vkEndCommandBuffer");
}

uint32_t Device::memory_type(uint32_t allowed_types, VkMemoryPropertyFlags required,
                             VkMemoryPropertyFlags preferred) const {
  for (const VkMemoryPropertyFlags wanted : {required | preferred, required})
    for (uint32_t i = 0; i < physical_.memory.memoryTypeCount; ++i)
      if ((allowed_types >> i & 1) != 0 && (physical_.memory.memoryTypes[i].propertyFlags & wanted) == wanted) return i;
  fail(Exit::device, "vulkan", "{} has no memory type with properties {:#x}", physical_.properties.deviceName,
       required);
}

void record_barrier(VkCommandBuffer commands) {
  constexpr VkPipelineStageFlags kStages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
  constexpr VkAccessFlags kWrites = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  auto barrier = structure<VkMemoryBarrier>(VK_STRUCTURE_TYPE_MEMORY_BARRIER);
  barrier.srcAccessMask = kWrites;
  barrier.dstAccessMask = kWrites | VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT;
  vkCmdPipelineBarrier(commands, kStages, kStages, 0, 1, &barrier, 0, nullptr, 0, nullptr);
}

}  // namespace tandem::vulkan
