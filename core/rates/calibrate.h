// Measures what a device table holds through the device's own backend: what `tandem devices --calibrate` writes.
#pragma once

#include <functional>

#include "core/rates/device_table.h"

namespace tandem {

// Rates of products by dtype and size, attention, passes over memory and the optimizer: of the instructions of training
// steps, each timed as it runs, of models of one layer that get larger as long as the device is fast enough and has the
// memory. Of launches, copies and zero-copy access: Programs of nothing else.
// progress: told what is measured next. Exit::device where the backend cannot time instructions.
DeviceTable calibrate(
    Backend& backend, const DeviceInfo& device,
    const std::function<void(const std::string&)>& progress = [](const std::string&) {});

}  // namespace tandem
