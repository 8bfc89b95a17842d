// An open device: its one queue, its timeline, its limits. Everything made on it holds a shared pointer to it.
// One thread at a time.
#pragma once

#include <memory>

#include "backends/vulkan/instance.h"
#include "core/runtime/watchdog.h"

namespace tandem::vulkan {

class Device {
 public:
  explicit Device(uint32_t index);  // among the usable ones; Exit::device when there is none
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  VkDevice handle() const { return handle_.get(); }
  const PhysicalDevice& physical() const { return physical_; }
  const VkPhysicalDeviceLimits& limits() const { return physical_.properties.limits; }

  // Submits to the queue; what comes back is reached when the commands and all before them are done.
  Timepoint submit(VkCommandBuffer commands);
  void wait(Timepoint timepoint);
  void wait_idle() noexcept;                          // for destructors; an idle device may be a lost one
  Timepoint submitted() const { return {counter_}; }  // the last one

  // A failure of the device, and a message of the validation layer, is thrown again by every later call.
  void check_device(VkResult result, std::string_view call);
  void check_validation();

  OwnedCommandPool make_command_pool();
  VkCommandBuffer allocate_commands(VkCommandPool pool);                           // lives as long as the pool
  void begin_commands(VkCommandBuffer commands, VkCommandBufferUsageFlags usage);  // behind all that was submitted
  void end_commands(VkCommandBuffer commands);  // makes what they wrote visible to the host
  // Memory of a type that has all of required and, when there is one, all of preferred too.
  uint32_t memory_type(uint32_t allowed_types, VkMemoryPropertyFlags required, VkMemoryPropertyFlags preferred) const;

  uint64_t allocated = 0;  // bytes of the arenas alive

 private:
  void create_device();

  Instance instance_;
  PhysicalDevice physical_;
  struct Destroy {
    void operator()(VkDevice device) const {
      if (!device_hangs()) vkDestroyDevice(device, nullptr);
    }
  };
  std::unique_ptr<std::remove_pointer_t<VkDevice>, Destroy> handle_;
  VkQueue queue_ = nullptr;
  OwnedSemaphore timeline_;
  Seconds timeout_ = device_timeout();
  uint64_t counter_ = 0;
  std::string failure_;
};

// All before it in the queue, transfers and shaders, happens before all after it.
void record_barrier(VkCommandBuffer commands);

}  // namespace tandem::vulkan
