// A Vulkan instance: the loader, the validation layer, the devices.
#pragma once

#include <vector>

#include "backends/vulkan/physical_device.h"

namespace tandem::vulkan {

class Instance {
 public:
  Instance();  // Exit::device when there is no loader or no driver
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  // those that can run Tandem; why_not gets a line for each of the others
  std::vector<PhysicalDevice> devices(std::string& why_not) const;
  const std::string& validation_message() const { return validation_message_; }  // the first one; empty: none

 private:
  VkInstance handle_ = nullptr;
  VkDebugUtilsMessengerEXT messenger_ = nullptr;
  std::string validation_message_;
};

}  // namespace tandem::vulkan
