#include "backends/vulkan/instance.h"

#include <cstring>

#include "backends/vulkan/shader_choice.h"

namespace tandem::vulkan {
namespace {

constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";

VkBool32 VKAPI_PTR take_message(VkDebugUtilsMessageSeverityFlagBitsEXT, VkDebugUtilsMessageTypeFlagsEXT,
                                const VkDebugUtilsMessengerCallbackDataEXT* data, void* first) {
  auto& message = *static_cast<std::string*>(first);
  if (message.empty()) message = data->pMessage;
  return VK_FALSE;
}

VkDebugUtilsMessengerCreateInfoEXT messenger_info(std::string* message) {
  return {.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
          .pNext = nullptr,
          .flags = 0,
          .messageSeverity =
              VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
          .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
          .pfnUserCallback = take_message,
          .pUserData = message};
}

void require_validation_layer() {
  uint32_t count = 0;
  check(vkEnumerateInstanceLayerProperties(&count, nullptr), "vkEnumerateInstanceLayerProperties");
  std::vector<VkLayerProperties> layers(count);
  check(vkEnumerateInstanceLayerProperties(&count, layers.data()), "vkEnumerateInstanceLayerProperties");
  for (const VkLayerProperties& layer : layers)
    if (std::strcmp(layer.layerName, kValidationLayer) == 0) return;
  fail(Exit::device, "TANDEM_VULKAN_VALIDATION",
       "the layer {} is not there; install it (Debian: vulkan-validationlayers) or unset the variable",
       kValidationLayer);
}

}  // namespace

Instance::Instance() {
  if (volkInitialize() != VK_SUCCESS)
    fail(Exit::device, "vulkan",
         "no Vulkan loader (libvulkan.so.1); install it with a driver (Debian: libvulkan1, mesa-vulkan-drivers)");
  const bool validation = environment_flag("TANDEM_VULKAN_VALIDATION");
  if (validation) require_validation_layer();

  const VkApplicationInfo application{.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                      .pNext = nullptr,
                                      .pApplicationName = "tandem",
                                      .applicationVersion = 1,
                                      .pEngineName = "tandem",
                                      .engineVersion = 1,
                                      .apiVersion = VK_API_VERSION_1_3};
  const VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info(&validation_message_);
  const char* extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
  const VkInstanceCreateInfo info{.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                  .pNext = validation ? &messenger : nullptr,
                                  .flags = 0,
                                  .pApplicationInfo = &application,
                                  .enabledLayerCount = validation,
                                  .ppEnabledLayerNames = &kValidationLayer,
                                  .enabledExtensionCount = validation,
                                  .ppEnabledExtensionNames = &extension};
  const VkResult result = vkCreateInstance(&info, nullptr, &handle_);
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
    fail(Exit::device, "vulkan",
         "the Vulkan loader finds no driver; install one (Debian: mesa-vulkan-drivers), or correct VK_ICD_FILENAMES");
  check(result, "vkCreateInstance");
  volkLoadInstance(handle_);  // device functions too, by the loader: several devices may be open
  if (validation)
    check(vkCreateDebugUtilsMessengerEXT(handle_, &messenger, nullptr, &messenger_), "vkCreateDebugUtilsMessengerEXT");
}

Instance::~Instance() {
  if (device_hangs()) return;
  if (messenger_) vkDestroyDebugUtilsMessengerEXT(handle_, messenger_, nullptr);
  if (handle_) vkDestroyInstance(handle_, nullptr);
}

std::vector<PhysicalDevice> Instance::devices(std::string& why_not) const {
  uint32_t count = 0;
  check(vkEnumeratePhysicalDevices(handle_, &count, nullptr), "vkEnumeratePhysicalDevices");
  std::vector<VkPhysicalDevice> handles(count);
  check(vkEnumeratePhysicalDevices(handle_, &count, handles.data()), "vkEnumeratePhysicalDevices");

  std::vector<PhysicalDevice> usable;
  for (VkPhysicalDevice handle : handles) {
    PhysicalDevice device;
    std::string lacks = examine(handle, device);
    if (lacks.empty()) lacks = missing_shaders(shader_table(), device);
    if (lacks.empty()) usable.push_back(device);
    else why_not += fmt::format("{}{} lacks {}", why_not.empty() ? "" : "; ", device.properties.deviceName, lacks);
  }
  if (handles.empty()) why_not = "the Vulkan drivers find no device";
  return usable;
}

}  // namespace tandem::vulkan
