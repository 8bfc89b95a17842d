// The Vulkan backend. Devices: Vulkan 1.2 with the features that physical_device.cpp lists; lavapipe is one of them.
//
// Environment: TANDEM_VULKAN_VALIDATION=1 runs under the validation layer, and any message of it is a device failure.
// TANDEM_VULKAN_PORTABLE=1 treats any device as an unknown discrete one: no shader made for one kind of device, staged
// transfers; so that these paths can be tested on lavapipe.
#pragma once

#include "core/runtime/backend.h"

namespace tandem {

BackendFactory vulkan_backend();

}  // namespace tandem
