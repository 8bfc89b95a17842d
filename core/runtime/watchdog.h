// A device that stops answering ends the run with a message; it does not hang it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

namespace tandem {

using Seconds = std::chrono::duration<double>;

// How long a device may go without finishing anything that was submitted: TANDEM_DEVICE_TIMEOUT, in seconds, or 1800;
// 0 in the environment: without end. Exit::configuration for another text there.
Seconds device_timeout();

// Waits up to that long for the submissions waited for; returns how many were ever finished.
using FinishedWithin = std::function<uint64_t(Seconds at_most)>;

// Waits until `target` submissions are finished. When no more of them have finished for `timeout`, the process ends
// here, with a message that names the device and Exit::device: destructors would wait for the device again.
void wait_for_device(std::string_view device, uint64_t target, Seconds timeout, const FinishedWithin& finished);

}  // namespace tandem
