// The Vulkan API through volk, checked results and owned handles.
#pragma once

#include <volk.h>

#include <utility>

#include "core/runtime/watchdog.h"

namespace tandem::vulkan {

std::string_view name_of(VkResult result);  // "VK_ERROR_DEVICE_LOST"

// Throws Exit::does_not_fit when memory ran out, else Exit::device, naming the call.
void check(VkResult result, std::string_view call);

// A Vulkan structure with all else zero.
template <typename T>
T structure(VkStructureType type, void* next = nullptr) {
  T value{};
  value.sType = type;
  value.pNext = next;
  return value;
}

// A handle that belongs to a device. Destroy: the address of volk's pointer to the function that frees it. What
// was made on a device that hangs is left to the end of the process, since the device may still use it.
template <typename Handle, auto Destroy>
class Owned {
 public:
  Owned() = default;
  Owned(VkDevice device, Handle handle) : device_(device), handle_(handle) {}
  Owned(Owned&& other) noexcept : device_(other.device_), handle_(std::exchange(other.handle_, Handle{})) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_ && !device_hangs()) (*Destroy)(device_, handle_, nullptr);
  }
  Handle get() const { return handle_; }

 private:
  VkDevice device_ = nullptr;
  Handle handle_{};
};

using OwnedBuffer = Owned<VkBuffer, &vkDestroyBuffer>;
using OwnedBufferView = Owned<VkBufferView, &vkDestroyBufferView>;
using OwnedCommandPool = Owned<VkCommandPool, &vkDestroyCommandPool>;
using OwnedDescriptorPool = Owned<VkDescriptorPool, &vkDestroyDescriptorPool>;
using OwnedDescriptorSetLayout = Owned<VkDescriptorSetLayout, &vkDestroyDescriptorSetLayout>;
using OwnedDeviceMemory = Owned<VkDeviceMemory, &vkFreeMemory>;
using OwnedPipeline = Owned<VkPipeline, &vkDestroyPipeline>;
using OwnedPipelineCache = Owned<VkPipelineCache, &vkDestroyPipelineCache>;
using OwnedPipelineLayout = Owned<VkPipelineLayout, &vkDestroyPipelineLayout>;
using OwnedQueryPool = Owned<VkQueryPool, &vkDestroyQueryPool>;
using OwnedSemaphore = Owned<VkSemaphore, &vkDestroySemaphore>;
using OwnedShaderModule = Owned<VkShaderModule, &vkDestroyShaderModule>;

// vkCreate...(device, &info, nullptr, &handle), checked.
template <typename OwnedHandle, typename Create, typename Info>
OwnedHandle create(VkDevice device, Create create_function, const Info& info, std::string_view call) {
  decltype(std::declval<OwnedHandle>().get()) handle{};
  check(create_function(device, &info, nullptr, &handle), call);
  return OwnedHandle(device, handle);
}

}  // namespace tandem::vulkan
