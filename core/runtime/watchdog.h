// A device that stops answering ends the process with a message; it does not hang it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "core/base/error.h"

namespace tandem {

using Seconds = std::chrono::duration<double>;

// How long a device may go without finishing anything that was submitted: TANDEM_DEVICE_TIMEOUT, in seconds, or 1800;
// 0 in the environment: without end. Exit::configuration for another text there.
Seconds device_timeout();

// Waits up to that long for the submissions waited for; returns how many were ever finished.
using FinishedWithin = std::function<uint64_t(Seconds at_most)>;

// Exit::device. Whoever catches it last ends the process at once: destructors of static objects, a driver's too, may
// wait for the device.
struct DeviceHangs : Error {
  explicit DeviceHangs(const std::string& message) : Error(Exit::device, message) {}
};

// True once DeviceHangs was thrown, in the program or module that asks: each has its own.
bool device_hangs();

// Owns what destructors wait for the device to be done with; it is left to the end of the process once a device hangs.
template <typename T>
struct DeviceDeleter {
  DeviceDeleter() = default;
  DeviceDeleter(std::default_delete<T>) {}
  void operator()(T* object) const {
    if (!device_hangs()) delete object;
  }
};
template <typename T>
using DevicePointer = std::unique_ptr<T, DeviceDeleter<T>>;

// Waits until `target` submissions are finished. Throws DeviceHangs, naming the device, when no more of them have
// finished for `timeout`.
void wait_for_device(std::string_view device, uint64_t target, Seconds timeout, const FinishedWithin& finished);

}  // namespace tandem
